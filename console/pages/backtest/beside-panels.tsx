// What a run says of itself on dates that chose nothing, and beside a benchmark.
import type { BacktestResult, Fold } from '../../api/results.ts'
import { figure, useFigure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { results } from '../../text/results.ts'
import { Panel } from '../../ui/page.tsx'
import { Table } from '../../ui/table.tsx'

/** What each train chose, and what came of it in its test. */
export function FoldsPanel({ result }: { result: BacktestResult }) {
  const t = useText(results)
  const name = useMetricName()
  const show = useFigure()
  const language = useLanguage()
  const { validation, effective_spec } = result
  if (!validation) return null
  const objective = effective_spec.search?.objective ?? 'sharpe'
  return (
    <Panel title={t('folds')}>
      <Table
        label={t('folds')}
        rows={validation.folds}
        keyOf={({ fold }) => String(fold)}
        columns={[
          { id: 'train', head: t('train'), cell: ({ train }) => datesOf(train) },
          { id: 'test', head: t('test'), cell: ({ test }) => datesOf(test) },
          {
            id: 'chosen',
            head: t('chosen'),
            cell: ({ parameters }) => chosen(parameters) || t('noParameters'),
          },
          {
            id: 'promised',
            head: t('inTrain', { name: name(objective) }),
            align: 'right',
            cell: (fold) => figure(objective, fold.objective, language),
          },
          {
            id: 'kept',
            head: t('inTest', { name: name(objective) }),
            align: 'right',
            cell: (fold) => figure(objective, fold.test_objective, language),
          },
          {
            id: 'return',
            head: t('inTest', { name: name('total_return') }),
            align: 'right',
            cell: ({ test_metrics }) => show('total_return', test_metrics['total_return']),
          },
        ]}
      />
      <p className="px-4 py-2 text-xs text-muted">{t('foldsNote')}</p>
    </Panel>
  )
}

const datesOf = ({ start, end }: Fold['train']) => `${start} – ${end}`
const chosen = (parameters: Fold['parameters']) =>
  Object.entries(parameters)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')

/** Beta, alpha and the like; null without a benchmark. */
export function BenchmarkPanel({ result }: { result: BacktestResult }) {
  const t = useText(results)
  const language = useLanguage()
  const { benchmark } = result
  if (!benchmark) return null
  const percent = (value: number | null) => figure('total_return', value, language)
  const plain = (value: number | null) => figure('sharpe', value, language)
  const rows = [
    { id: 'own', head: t('benchmarkReturn'), value: percent(benchmark.annual_return) },
    { id: 'excess', head: t('excessReturn'), value: percent(benchmark.excess_return) },
    { id: 'beta', head: t('beta'), value: plain(benchmark.beta) },
    { id: 'alpha', head: t('alpha'), value: percent(benchmark.alpha) },
    { id: 'error', head: t('trackingError'), value: percent(benchmark.tracking_error) },
    { id: 'ratio', head: t('informationRatio'), value: plain(benchmark.information_ratio) },
  ]
  return (
    <Panel title={t('besideBenchmark', { name: benchmark.name })}>
      <dl className="px-4 py-2 text-[13px]">
        {rows.map(({ id, head, value }) => (
          <div key={id} className="flex min-h-7 items-center justify-between gap-3">
            <dt className="text-muted">{head}</dt>
            <dd className="tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  )
}
