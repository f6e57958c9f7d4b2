import { Link } from '@tanstack/react-router'
import { isMinimised, type TrainingResult } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { Explained, isValidated } from '../../parts/best-point.tsx'
import { compareTexts } from '../../text/compare.ts'
import { figure, number, plainNumber, share, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { results } from '../../text/results.ts'
import { trainingTexts } from '../../text/training.ts'
import { Panel } from '../../ui/page.tsx'
import type { Compared } from './curves-panel.tsx'
import { bestOf } from './shape.ts'

interface Row {
  id: string
  name: string
  help?: string
  /** As they are compared; null: there is none. */
  values: readonly (number | null | undefined)[]
  shown: readonly string[]
  /** Whether one is better than another. */
  ranks: 'least' | 'most' | null
}

const metrics = [
  'total_return',
  'annual_return',
  'annual_volatility',
  'sharpe',
  'sortino',
  'calmar',
  'max_drawdown',
  'max_drawdown_bars',
  'trades',
  'win_rate',
  'profit_factor',
  'exposure',
  'turnover',
  'fees',
] as const
/** Of these neither more nor less is better. */
const unranked: ReadonlySet<string> = new Set(['trades', 'exposure', 'turnover'])

export function BacktestFigures({ backtests }: { backtests: readonly Compared[] }) {
  const t = useText(compareTexts)
  const language = useLanguage()
  const name = useMetricName()
  const of = backtests.map(({ result }) => result)
  const rows: Row[] = [
    ...useHonesty(backtests),
    ...metrics.map((id): Row => {
      const values = of.map(({ best }) => best.metrics[id])
      return {
        id,
        name: name(id),
        values,
        shown: values.map((value) => figure(id, value, language)),
        ranks: unranked.has(id) ? null : isMinimised(id) ? 'least' : 'most',
      }
    }),
  ]
  return (
    <FigureTable
      jobs={backtests.map(({ job }) => job)}
      rows={rows}
      note={of.every(isValidated) ? undefined : t('inSampleNote')}
    />
  )
}

/** What stands before any figure of a best point. */
function useHonesty(backtests: readonly Compared[]): Row[] {
  const t = useText(results)
  const language = useLanguage()
  const of = backtests.map(({ result }) => result)
  const tried = of.map(({ overfitting, points }) => overfitting?.trials ?? points)
  const deflated = of.map(({ overfitting }) => overfitting?.deflated_sharpe)
  const pbo = of.map(({ overfitting }) => overfitting?.pbo)
  return [
    {
      id: 'parameters',
      name: t('parameters'),
      values: [],
      shown: of.map(({ best }) =>
        Object.entries(best.parameters)
          .map(([each, value]) => `${each} ${plainNumber(value, language)}`)
          .join(', '),
      ),
      ranks: null,
    },
    {
      id: 'tried',
      name: t('pointsTried'),
      help: t('pointsTriedHelp'),
      values: tried,
      shown: tried.map((value) => number(value, language, 0)),
      ranks: null,
    },
    {
      id: 'deflated',
      name: t('deflated'),
      help: t('deflatedHelp'),
      values: deflated,
      shown: deflated.map((value) => (typeof value === 'number' ? number(value, language, 3) : '–')),
      ranks: 'most',
    },
    {
      id: 'pbo',
      name: t('pbo'),
      help: t('pboHelp'),
      values: pbo,
      shown: pbo.map((value) => (typeof value === 'number' ? share(value, language, 1) : '–')),
      ranks: 'least',
    },
    {
      id: 'oos',
      name: t('outOfSample'),
      help: t('noValidationHelp'),
      values: [],
      shown: of.map((result) => {
        const objective = result.effective_spec.search?.objective ?? 'sharpe'
        return isValidated(result)
          ? figure(objective, result.best.metrics[objective], language)
          : t('noValidation')
      }),
      ranks: null,
    },
  ]
}

export function TrainingFigures({
  trainings,
}: {
  trainings: readonly { job: Job; result: TrainingResult }[]
}) {
  const t = useText(trainingTexts)
  const language = useLanguage()
  const name = useMetricName()
  const tests = trainings.map(({ result }) => result.metrics.test.overall)
  const names = [...new Set(tests.flatMap((test) => Object.keys(test)))].filter((each) => each !== 'ic_dates')
  const rows: Row[] = [
    {
      id: 'trials',
      name: t('trialsTried'),
      help: t('trialsHelp'),
      values: [],
      shown: trainings.map(({ result }) => number(result.trials, language, 0)),
      ranks: null,
    },
    ...names.map((id): Row => {
      const values = tests.map((test) => test[id])
      return {
        id,
        name: `${name(id)} (${t('test')})`,
        values,
        shown: values.map((value) => figure(id, value, language)),
        ranks: isMinimised(id) ? 'least' : 'most',
      }
    }),
  ]
  return <FigureTable jobs={trainings.map(({ job }) => job)} rows={rows} />
}

interface FigureTableProps {
  jobs: readonly Job[]
  rows: readonly Row[]
  note?: string | undefined
}

function FigureTable({ jobs, rows, note }: FigureTableProps) {
  const t = useText(compareTexts)
  return (
    <Panel title={t('metrics')}>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t('metrics')}>
        <table className="w-full border-collapse text-[13px]">
          <thead>
            <tr className="border-b border-line text-xs text-muted">
              <th scope="col" className="h-9 px-4 text-left font-medium">
                {t('metric')}
              </th>
              {jobs.map(({ id, name }) => (
                <th key={id} scope="col" className="px-3 text-right font-medium last:pr-4">
                  <Link to="/jobs/$id" params={{ id }} className="hover:underline">
                    {name ?? id}
                  </Link>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <FigureRow key={row.id} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {note === undefined ? null : <p className="px-4 py-2 text-xs text-muted">{note}</p>}
    </Panel>
  )
}

function FigureRow({ row: { name, help, values, shown, ranks } }: { row: Row }) {
  const t = useText(compareTexts)
  const best = ranks === null ? new Set<number>() : bestOf(values, ranks === 'least')
  return (
    <tr className="border-b border-line last:border-0 hover:bg-sunken">
      <th scope="row" className="h-8 px-4 text-left font-normal whitespace-nowrap text-muted">
        <Explained help={help}>{name}</Explained>
      </th>
      {shown.map((text, at) => (
        <td
          key={at}
          className={`tnum relative px-3 text-right last:pr-4 ${best.has(at) ? 'font-semibold text-accent' : ''}`}
        >
          {text}
          {best.has(at) ? <span className="sr-only"> ({t('best')})</span> : null}
        </td>
      ))}
    </tr>
  )
}
