import type { ReactNode } from 'react'
import type { BacktestResult } from '../../api/results.ts'
import { figure, plainNumber, share, useFigure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { results } from '../../text/results.ts'
import { Panel } from '../../ui/page.tsx'
import { Table } from '../../ui/table.tsx'

/** What becomes of the best point where luck, costs or its parameters are a little otherwise. */
export function RobustnessPanel({ result }: { result: BacktestResult }) {
  const t = useText(results)
  const language = useLanguage()
  const { robustness, look_ahead } = result
  return (
    <Panel title={t('robustness')}>
      {robustness?.bootstrap ? <Intervals bootstrap={robustness.bootstrap} /> : null}
      {robustness ? <Costs result={result} costs={robustness.costs} /> : null}
      {robustness?.neighbours ? <Neighbours result={result} neighbours={robustness.neighbours} /> : null}
      <dl className="border-t border-line px-4 py-2 text-[13px]">
        <div className="flex min-h-7 items-center justify-between gap-3">
          <dt className="text-muted">{t('lookAhead')}</dt>
          <dd>
            {look_ahead?.ok === true
              ? t('lookAheadPassed', { n: plainNumber(look_ahead.checked, language) })
              : t('lookAheadNone')}
          </dd>
        </div>
      </dl>
    </Panel>
  )
}

type Robust = NonNullable<BacktestResult['robustness']>

function Intervals({ bootstrap }: { bootstrap: NonNullable<Robust['bootstrap']> }) {
  const t = useText(results)
  const language = useLanguage()
  const name = useMetricName()
  const rows = (['sharpe', 'max_drawdown'] as const).map((id) => ({ id, ...bootstrap[id] }))
  const { low, high } = {
    low: Math.min(0, bootstrap.sharpe.low) - 0.1,
    high: Math.max(0, bootstrap.sharpe.high) + 0.1,
  }
  const place = (value: number) => `${(100 * (value - low)) / (high - low)}%`
  return (
    <div className="px-4 py-3">
      <Table
        label={t('robustness')}
        rows={rows}
        keyOf={({ id }) => id}
        columns={[
          { id: 'name', head: t('metrics'), cell: ({ id }) => name(id) },
          {
            id: 'value',
            head: t('value'),
            align: 'right',
            cell: ({ id, value }) => figure(id, value, language),
          },
          {
            id: 'interval',
            head: t('interval', { level: share(bootstrap.level, language, 0) }),
            align: 'right',
            cell: (row) => `${figure(row.id, row.low, language)} … ${figure(row.id, row.high, language)}`,
          },
        ]}
      />
      <div aria-hidden className="relative mx-1 mt-3 h-4">
        <div className="absolute inset-x-0 top-1/2 h-px bg-line" />
        <div className="absolute inset-y-0 w-px bg-line-strong" style={{ left: place(0) }} />
        <div
          className="absolute top-1 h-2 rounded-full bg-accent/30"
          style={{ left: place(bootstrap.sharpe.low), right: `calc(100% - ${place(bootstrap.sharpe.high)})` }}
        />
        <div
          className="absolute top-0.5 h-3 w-1 rounded-full bg-accent"
          style={{ left: place(bootstrap.sharpe.value) }}
        />
      </div>
      <p className="mt-1 text-xs text-muted">{t('intervalNote', { n: bootstrap.replicates })}</p>
    </div>
  )
}

function Costs({ result, costs }: { result: BacktestResult; costs: Robust['costs'] }) {
  const t = useText(results)
  const show = useFigure()
  const name = useMetricName()
  const shown = ['total_return', 'sharpe', 'max_drawdown'] as const
  return (
    <Section>
      <Table
        label={t('costsTimes', { factor: '' })}
        rows={costs}
        keyOf={({ factor }) => String(factor)}
        columns={[
          {
            id: 'factor',
            head: result.effective_spec.strategy?.name ?? '',
            cell: ({ factor }) => t('costsTimes', { factor }),
          },
          ...shown.map((id) => ({
            id,
            head: name(id),
            align: 'right' as const,
            cell: ({ metrics }: Robust['costs'][number]) => show(id, metrics[id]),
          })),
        ]}
      />
    </Section>
  )
}

function Neighbours({
  result,
  neighbours,
}: {
  result: BacktestResult
  neighbours: NonNullable<Robust['neighbours']>
}) {
  const t = useText(results)
  const language = useLanguage()
  const objective = result.effective_spec.search?.objective ?? 'sharpe'
  return (
    <Section>
      <div className="px-4 py-2 text-[13px]">
        <h3 className="text-xs font-medium text-faint">{t('neighbours')}</h3>
        <ul className="mt-1 flex flex-wrap gap-1.5">
          {neighbours.points.map(({ parameter, value, objective: here }) => (
            <li key={`${parameter} ${value}`} className="rounded bg-idle-wash px-2 py-1 text-xs">
              {parameter} {plainNumber(value, language)}: <b>{figure(objective, here, language)}</b>
            </li>
          ))}
        </ul>
        {neighbours.kept === null ? null : (
          <p className="mt-1.5 text-xs text-muted">
            {t('neighboursKept', { share: share(neighbours.kept, language, 0) })}
          </p>
        )}
      </div>
    </Section>
  )
}

const Section = ({ children }: { children: ReactNode }) => (
  <div className="border-t border-line">{children}</div>
)
