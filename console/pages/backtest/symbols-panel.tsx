import { useQuery } from '@tanstack/react-query'
import { Link, useSearch } from '@tanstack/react-router'
import { useApi } from '../../api/context.tsx'
import { type BacktestResult, type Table as Found, tableQuery } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { useFigure, useMetricName } from '../../text/figures.ts'
import { useText } from '../../text/language.tsx'
import { results } from '../../text/results.ts'
import { Panel } from '../../ui/page.tsx'
import { Table } from '../../ui/table.tsx'

const shown = [
  'total_return',
  'annual_return',
  'sharpe',
  'max_drawdown',
  'trades',
  'win_rate',
  'profit_factor',
] as const
/** A page of symbols; all of them are in metrics.parquet. */
const most = 200

type Row = { symbol: string } & Readonly<Record<string, string | number | null>>

/** The best point by symbol, where each has an account of its own. */
export function SymbolsPanel({ job, result }: { job: Job; result: BacktestResult }) {
  const t = useText(results)
  const now = useSearch({ from: '/jobs/$id' })
  const figure = useFigure()
  const name = useMetricName()
  const several = result.data.symbols.length > 1 && result.effective_spec.portfolio?.mode !== 'shared'
  const { data } = useQuery({
    ...tableQuery(useApi(), job.id, 'metrics.parquet', {
      where: `point:${result.best.point ?? 0}`,
      columns: ['symbol', ...shown].join(','),
      max_rows: most,
    }),
    enabled: several && result.best.point !== undefined,
  })
  if (!several || data === undefined || data.rows === 0) return null
  return (
    <Panel title={t('bySymbol')}>
      <Table<Row>
        label={t('bySymbol')}
        rows={rowsOf(data)}
        keyOf={({ symbol }) => symbol}
        columns={[
          {
            id: 'symbol',
            head: t('symbol'),
            cell: ({ symbol }) => (
              <Link
                to="/jobs/$id"
                params={{ id: job.id }}
                search={{ ...now, symbol }}
                className="font-medium hover:underline"
              >
                {symbol}
              </Link>
            ),
          },
          ...shown.map((id, at) => ({
            id,
            head: name(id),
            align: 'right' as const,
            wide: at > 3,
            cell: (row: Row) => figure(id, row[id] as number | null),
          })),
        ]}
      />
    </Panel>
  )
}

function rowsOf({ columns }: Found): Row[] {
  const names = Object.keys(columns)
  return (columns['symbol'] ?? []).map((symbol, at) => ({
    ...Object.fromEntries(names.map((name) => [name, columns[name]?.[at] ?? null])),
    symbol: String(symbol),
  }))
}
