// What a backtest has found, without downloading it.
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import GitCompare from 'lucide-react/icons/git-compare'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { asProblem } from '../../api/problem.ts'
import { type BacktestResult, backtestResult, type Series, seriesQuery } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { EquityChart } from '../../charts/equity.tsx'
import { MonthlyReturns } from '../../charts/monthly.tsx'
import { BestPoint } from '../../parts/best-point.tsx'
import { Asked } from '../../parts/problem.tsx'
import { Warnings } from '../../parts/warnings.tsx'
import { compareTexts } from '../../text/compare.ts'
import { useText } from '../../text/language.tsx'
import { results } from '../../text/results.ts'
import { buttonClass } from '../../ui/button.tsx'
import { Field, Select } from '../../ui/field.tsx'
import { Empty } from '../../ui/states.tsx'
import { BenchmarkPanel, FoldsPanel } from './beside-panels.tsx'
import { MetricsPanel } from './metrics-panel.tsx'
import { RobustnessPanel } from './robustness-panel.tsx'
import { RollingSharpe } from './rolling-sharpe.tsx'
import { SymbolsPanel } from './symbols-panel.tsx'
import { TradesPanel } from './trades-panel.tsx'

/** As many dates as the API gives at once: days of forty years. */
const most = 10_000

export function ResultTab({ job }: { job: Job }) {
  const t = useText(results)
  const result = backtestResult(job)
  if (result === null) return <Empty title={t('noResult')}>{t('noResultHint')}</Empty>
  return (
    <div className="flex flex-col gap-4 p-4">
      <BestPoint result={result} />
      <Warnings warnings={result.warnings} />
      <Curves job={job} result={result} />
      <FoldsPanel result={result} />
      <div className="grid gap-4 xl:grid-cols-2">
        <MetricsPanel result={result} />
        <RobustnessPanel result={result} />
        <BenchmarkPanel result={result} />
      </div>
      <SymbolsPanel job={job} result={result} />
    </div>
  )
}

function Curves({ job, result }: { job: Job; result: BacktestResult }) {
  const t = useText(results)
  const { rank = 1, symbol } = useSearch({ from: '/jobs/$id' })
  const wanted = { rank, symbol, columns: ['equity', 'drawdown', 'hold'] as const, max_points: most }
  const query = useQuery(seriesQuery(useApi(), job.id, wanted))
  if (query.isError && asProblem(query.error).code === 'no_result')
    return <Empty title={t('noTables')}>{t('noTablesHint')}</Empty>
  return (
    <>
      <Choice job_id={job.id} result={result} rank={rank} symbol={symbol} />
      <Asked query={query} rows={10}>
        {(found) => (
          <>
            <Zoomed job_id={job.id} found={found} />
            <div className="grid gap-4 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
              <MonthlyReturns found={found} />
              <RollingSharpe found={found} result={result} />
            </div>
          </>
        )}
      </Asked>
      <TradesPanel job_id={job.id} rank={rank} symbol={symbol} result={result} />
    </>
  )
}

/** Where not all dates are drawn, those of the stretch that is looked at are read. */
function Zoomed({ job_id, found }: { job_id: string; found: Series }) {
  const t = useText(results)
  const [stretch, setStretch] = useState<{ from: string; to: string } | null>(null)
  const onWindow = useCallback(
    (from: string, to: string) =>
      setStretch((before) => (before?.from === from && before.to === to ? before : { from, to })),
    [],
  )
  const wanted = {
    rank: found.rank,
    symbol: found.symbol ?? undefined,
    columns: ['equity', 'drawdown', 'hold'] as const,
    max_points: most,
    ...stretch,
  }
  const { data: closer } = useQuery({
    ...seriesQuery(useApi(), job_id, wanted),
    enabled: found.sampled && stretch !== null,
  })
  const shown = useMemo(() => (closer && found.sampled ? spliced(found, closer) : found), [found, closer])
  const why = found.left_out.find(({ column }) => column === 'hold')?.text
  const notes = [
    why === undefined ? t('holdNote') : t('holdMissing', { why }),
    ...(found.sampled ? [t('sampledNote', { shown: shown.series.date.length, all: found.rows })] : []),
  ]
  return <EquityChart found={shown} note={notes.join(' ')} {...(found.sampled ? { onWindow } : {})} />
}

/** The rows of the closer look in the place of those of the same stretch. */
function spliced(found: Series, closer: Series): Series {
  const { date } = found.series
  const [first = '', last = ''] = [closer.series.date[0], closer.series.date.at(-1)]
  const before = date.filter((each) => each < first).length
  const after = date.findIndex((each) => each > last)
  const joined = Object.fromEntries(
    Object.entries(found.series).map(([name, values]) => [
      name,
      [
        ...(values ?? []).slice(0, before),
        ...(closer.series[name as 'date'] ?? []),
        ...(after < 0 ? [] : (values ?? []).slice(after)),
      ],
    ]),
  ) as Series['series']
  return { ...found, series: joined }
}

interface ChoiceProps {
  job_id: string
  result: BacktestResult
  rank: number
  symbol: string | undefined
}

function Choice({ job_id, result, rank, symbol }: ChoiceProps) {
  const t = useText(results)
  const c = useText(compareTexts)
  const now = useSearch({ from: '/jobs/$id' })
  const navigate = useNavigate({ from: '/jobs/$id' })
  const { symbols } = result.data
  const shared = result.effective_spec.portfolio?.mode === 'shared'
  // Of a validated search the chained tests alone are kept.
  const ranks = result.validation ? 1 : Math.min(result.effective_spec.output?.top_k ?? 10, result.points)
  const go = (search: { rank?: number; symbol?: string | undefined }) =>
    void navigate({ search: { ...now, ...search }, replace: true })
  return (
    <div className="flex flex-wrap items-end gap-3">
      {ranks > 1 ? (
        <Field label={t('rank')} className="w-28">
          <Select value={rank} onChange={({ target }) => go({ rank: Number(target.value) })}>
            {Array.from({ length: ranks }, (_, at) => (
              <option key={at} value={at + 1}>
                {t('rankOf', { rank: at + 1 })}
              </option>
            ))}
          </Select>
        </Field>
      ) : null}
      {symbols.length > 1 && !shared ? (
        <Field label={t('symbol')} className="w-44">
          <Select
            value={symbol ?? ''}
            onChange={({ target }) => go({ symbol: target.value === '' ? undefined : target.value })}
          >
            <option value="">{t('allSymbols')}</option>
            {symbols.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </Select>
        </Field>
      ) : null}
      <Link to="/compare" search={{ jobs: job_id }} className={`${buttonClass()} ml-auto`}>
        <GitCompare className="size-4" aria-hidden />
        {c('compareWith')}
      </Link>
    </div>
  )
}
