import { useCallback, useMemo, useState } from 'react'
import type { FoldResult, TrainingResult } from '../../api/results.ts'
import { Bars } from '../../charts/bars.tsx'
import { Parameters } from '../../parts/best-point.tsx'
import { figure, useFigure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { trainingTexts } from '../../text/training.ts'
import { Select } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { Table } from '../../ui/table.tsx'

/** What is no figure of a fold but counts what it is of. */
const besides: ReadonlySet<string> = new Set(['ic_dates'])

export function FoldsPanel({ result }: { result: TrainingResult }) {
  const t = useText(trainingTexts)
  const language = useLanguage()
  const name = useMetricName()
  const { folds, overall } = result.metrics.test
  const metrics = Object.keys(folds[0]?.metrics ?? {}).filter((each) => !besides.has(each))
  const first = result.effective_spec.search?.objective ?? ''
  const [metric, setMetric] = useState(metrics.includes(first) ? first : (metrics[0] ?? ''))
  const format = useCallback((value: number) => figure(metric, value, language), [metric, language])
  const bars = useMemo(
    () =>
      folds.map((fold) => ({
        name: `${t('fold', { n: fold.fold })}`,
        value: fold.metrics[metric] ?? null,
      })),
    [folds, metric, t],
  )
  const known = bars.map(({ value }) => value).filter((value) => value !== null)
  const whole = overall[metric]
  const level = useMemo(
    () => (typeof whole === 'number' ? { name: t('overall'), value: whole } : undefined),
    [whole, t],
  )
  if (folds.length === 0) return null
  return (
    <div className="grid gap-4 xl:grid-cols-2">
      <Bars
        title={`${t('folds')} · ${name(metric)}`}
        about={t('foldsAbout', {
          n: folds.length,
          metric: name(metric),
          low: format(Math.min(...known)),
          high: format(Math.max(...known)),
        })}
        bars={bars}
        head={[t('foldHead'), name(metric)]}
        format={format}
        level={level}
        actions={
          <Select
            aria-label={t('metric')}
            className="w-auto!"
            value={metric}
            onChange={({ target }) => setMetric(target.value)}
          >
            {metrics.map((each) => (
              <option key={each} value={each}>
                {name(each)}
              </option>
            ))}
          </Select>
        }
      />
      <FoldTable folds={folds} metric={metric} />
    </div>
  )
}

function FoldTable({ folds, metric }: { folds: readonly FoldResult[]; metric: string }) {
  const t = useText(trainingTexts)
  const show = useFigure()
  const name = useMetricName()
  return (
    <Panel title={t('folds')}>
      <Table
        label={t('folds')}
        rows={folds}
        keyOf={({ fold, test }) => `${fold} ${test[0]}`}
        columns={[
          { id: 'fold', head: t('foldHead'), cell: ({ fold }) => fold },
          {
            id: 'test',
            head: t('tested'),
            cell: ({ test }) => <span className="tnum whitespace-nowrap">{`${test[0]} – ${test[1]}`}</span>,
          },
          {
            id: 'metric',
            head: name(metric),
            align: 'right',
            cell: ({ metrics }) => show(metric, metrics[metric]),
          },
          {
            id: 'rows',
            head: t('testRows'),
            align: 'right',
            wide: true,
            cell: ({ test_rows }) => show('points', test_rows),
          },
          {
            id: 'params',
            head: t('params'),
            wide: true,
            cell: ({ params }) => <Parameters parameters={rounded(params)} />,
          },
        ]}
      />
    </Panel>
  )
}

/** Drawn numbers have sixteen digits, of which three are read. */
const rounded = (params: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(params).map(([name, value]) => [
      name,
      typeof value === 'number' ? Number(value.toPrecision(3)) : value,
    ]),
  )
