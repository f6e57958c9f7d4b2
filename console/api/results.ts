// What jobs have found: curves, trades, points, surfaces, tables, and the programs' own results.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import type { InferResponseType } from 'hono/client'
import type { Answer, Api, Client } from './client.ts'
import type { Job } from './types.ts'

type Routes = Client['v1']['jobs'][':id']
type Of<Route extends (...args: never[]) => Promise<unknown>> = Answer<InferResponseType<Route>>

export type Series = Of<Routes['series']['$get']>
export type SeriesColumn = keyof Omit<Series['series'], 'date'>
export type TradePage = Of<Routes['trades']['$get']>
export type Trade = TradePage['items'][number]
export type PointPage = Of<Routes['points']['$get']>
export type Point = PointPage['items'][number]
export type Surface = Of<Routes['surface']['$get']>
export type Table = Of<Routes['tables'][':name']['$get']>

/** What the API gives at once; a chart has no more places. */
const page_size = 500

type Query = Readonly<Record<string, string | number | undefined>>

async function read<Found>(
  api: Api,
  id: string,
  path: string,
  query: Query,
  signal: AbortSignal,
): Promise<Found> {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  )
  const answer = await api.send(`/v1/jobs/${id}/${path}?${new URLSearchParams(given)}`, { signal })
  return (await answer.json()) as Found
}

/** What has ended does not change. */
const settled = { staleTime: Number.POSITIVE_INFINITY }

export interface SeriesWanted {
  rank: number
  symbol?: string | undefined
  columns: readonly SeriesColumn[]
  from?: string | undefined
  to?: string | undefined
  max_points?: number
}

export const seriesQuery = (api: Api, id: string, { columns, ...wanted }: SeriesWanted) =>
  queryOptions({
    queryKey: ['job', id, 'series', wanted, columns],
    queryFn: ({ signal }) =>
      read<Series>(api, id, 'series', { ...wanted, columns: columns.join(',') }, signal),
    ...settled,
  })

export interface TradesWanted {
  rank: number
  symbol?: string | undefined
  sort: string
}

export const tradesQuery = (api: Api, id: string, wanted: TradesWanted) =>
  infiniteQueryOptions({
    queryKey: ['job', id, 'trades', wanted],
    queryFn: ({ pageParam, signal }) =>
      read<TradePage>(
        api,
        id,
        'trades',
        { ...wanted, limit: page_size, cursor: pageParam ?? undefined },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    ...settled,
  })

export const pointsQuery = (api: Api, id: string, sort: string) =>
  infiniteQueryOptions({
    queryKey: ['job', id, 'points', sort],
    queryFn: ({ pageParam, signal }) =>
      read<PointPage>(api, id, 'points', { sort, limit: page_size, cursor: pageParam ?? undefined }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

export const surfaceQuery = (
  api: Api,
  id: string,
  query: { x: string; y: string; value: string; reduce: string },
) =>
  queryOptions({
    queryKey: ['job', id, 'surface', query],
    queryFn: ({ signal }) => read<Surface>(api, id, 'surface', query, signal),
    ...settled,
  })

export const tableQuery = (api: Api, id: string, name: string, query: Query = {}) =>
  queryOptions({
    queryKey: ['job', id, 'table', name, query],
    queryFn: ({ signal }) => read<Table>(api, id, `tables/${encodeURIComponent(name)}`, query, signal),
    ...settled,
    retry: false,
  })

export type Metrics = Readonly<Record<string, number | null | undefined>>
export interface Warning {
  code: string
  message: string
}

/** The parts of a backtest's result.json that are shown (docs/contracts.md, section 3). */
export interface BacktestResult {
  effective_spec: {
    strategy?: { name?: string }
    search?: { objective?: string }
    execution?: { cash?: number }
    portfolio?: { mode?: string }
    validation?: { method?: string }
    periods_per_year?: number
    risk_free?: number
    output?: { top_k?: number }
  }
  data: { symbols: string[]; bars: number; start: string; end: string }
  best: {
    point?: number
    parameters: Readonly<Record<string, number>>
    objective: number | null
    metrics: Metrics
  }
  /** Of a validated search; `best.metrics` is then of its tests. */
  validation?: { oos: Fold['test']; oos_objective: number | null; folds: readonly Fold[] } | null
  benchmark?: Benchmark | null
  points: number
  skipped: number
  overfitting?: {
    pbo: number | null
    deflated_sharpe: number | null
    trials: number
    expected_max_sharpe?: number | null
  }
  robustness?: Robustness | null
  look_ahead?: { checked: number; ok: boolean | null }
  warnings?: readonly Warning[]
}

export interface Fold {
  fold: number
  train: { start: string; end: string; bars: number }
  test: { start: string; end: string; bars: number }
  parameters: Readonly<Record<string, number>>
  objective: number | null
  test_objective: number | null
  test_metrics: Metrics
}

interface Benchmark {
  name: string
  annual_return: number | null
  excess_return: number | null
  beta: number | null
  alpha: number | null
  tracking_error: number | null
  information_ratio: number | null
}

interface Interval {
  value: number
  low: number
  high: number
}
export interface Robustness {
  bootstrap: { level: number; replicates: number; sharpe: Interval; max_drawdown: Interval } | null
  costs: readonly { factor: number; objective: number | null; metrics: Metrics }[]
  neighbours: {
    median: number | null
    kept: number | null
    points: readonly { parameter: string; value: number; objective: number | null }[]
  } | null
}

export interface FoldResult {
  fold: number
  test: readonly [string, string]
  train_rows: number
  test_rows: number
  params: Readonly<Record<string, unknown>>
  metrics: Metrics
}
/** Of a training's result.json (docs/contracts.md, section 4). */
export interface TrainingResult {
  effective_spec: {
    model?: { name?: string } | null
    ensemble?: { method?: string } | null
    target?: { name?: string; horizon?: number; kind?: string } | null
    validation?: { method?: string; folds?: number; purge?: number; embargo?: number }
    search?: { objective?: string } | null
  }
  data: { symbols: string[]; dates: number; start: string; end: string }
  best: { params: Readonly<Record<string, unknown>>; rounds?: number | null }
  metrics: {
    selection: (Metrics & { objective?: never }) | null
    test: { overall: Metrics; folds: readonly FoldResult[]; source: string }
    holdout: Metrics | null
  }
  learning_curve?: readonly { train_dates: number; train_rows: number; train: Metrics; test: Metrics }[]
  trials: number
  param_importance?: Readonly<Record<string, number>>
  look_ahead?: { checked: number; ok: boolean | null }
  warnings?: readonly Warning[]
}

const has = (value: unknown, ...names: string[]): boolean =>
  typeof value === 'object' && value !== null && names.every((name) => name in value)

/** null: it has none, or one that is not as our program writes it. */
export function backtestResult({ kind, result }: Pick<Job, 'kind' | 'result'>): BacktestResult | null {
  if (kind !== 'backtest' || !has(result, 'best', 'data', 'effective_spec', 'points')) return null
  const found = result as unknown as BacktestResult
  return has(found.best, 'metrics', 'parameters') ? found : null
}

export function trainingResult({ kind, result }: Pick<Job, 'kind' | 'result'>): TrainingResult | null {
  if (kind !== 'training' || !has(result, 'metrics', 'data', 'effective_spec')) return null
  const found = result as unknown as TrainingResult
  return has(found.metrics, 'test') ? found : null
}

/** Parameters of a backtest that take more than one value, in alphabetical order as points count them. */
export function variedParameters({ params }: Pick<Job, 'params'>): string[] {
  const { parameters } = params as { parameters?: Readonly<Record<string, unknown>> }
  return Object.entries(parameters ?? {})
    .filter(([, value]) => typeof value === 'object' && value !== null && !isSingle(value))
    .map(([name]) => name)
    .toSorted()
}

const isSingle = (value: object): boolean =>
  'values' in value && Array.isArray(value.values) && value.values.length < 2

/** Metrics of which less is better; of all others more is. */
const minimised: ReadonlySet<string> = new Set([
  'annual_volatility',
  'fees',
  'turnover',
  'max_drawdown_bars',
  'rmse',
  'mae',
  'log_loss',
])
export const isMinimised = (metric: string): boolean => minimised.has(metric)
