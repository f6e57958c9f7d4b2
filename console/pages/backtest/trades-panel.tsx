// Trades of a point: on the price of their symbol, and as a table that reads on as it is scrolled.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { type BacktestResult, seriesQuery, type Trade, tradesQuery } from '../../api/results.ts'
import { PriceTrades } from '../../charts/price-trades.tsx'
import { Asked } from '../../parts/problem.tsx'
import { figure, number, share } from '../../text/figures.ts'
import { useLanguage, useText, useWord } from '../../text/language.tsx'
import { usePrefs } from '../../text/prefs.tsx'
import { exitTexts, results } from '../../text/results.ts'
import { Select } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { Rows } from '../../ui/rows.tsx'
import { Empty } from '../../ui/states.tsx'

const orders = [
  ['entry_date', 'sort_entry_date'],
  ['-entry_date', 'sort_entry_date_desc'],
  ['-pnl', 'sort_pnl_desc'],
  ['pnl', 'sort_pnl'],
  ['-return', 'sort_return_desc'],
  ['-bars', 'sort_bars_desc'],
] as const

interface TradesPanelProps {
  job_id: string
  rank: number
  symbol: string | undefined
  result: BacktestResult
}

export function TradesPanel({ job_id, rank, symbol, result }: TradesPanelProps) {
  const t = useText(results)
  const api = useApi()
  const [sort, setSort] = useState<string>('entry_date')
  const query = useInfiniteQuery(tradesQuery(api, job_id, { rank, symbol, sort }))
  const marked = symbol ?? result.data.symbols[0]
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = query
  const trades = useMemo(() => data?.pages.flatMap(({ items }) => items) ?? [], [data])
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const total = data?.pages[0]?.total ?? 0
  return (
    <>
      {marked === undefined ? null : <Marked job_id={job_id} rank={rank} symbol={marked} />}
      <Panel
        title={`${t('trades')}${data ? ` · ${total}` : ''}`}
        actions={
          <Select
            aria-label={t('sortBy')}
            className="w-auto!"
            value={sort}
            onChange={({ target }) => setSort(target.value)}
          >
            {orders.map(([id, text]) => (
              <option key={id} value={id}>
                {t(text)}
              </option>
            ))}
          </Select>
        }
      >
        <Asked query={query}>
          {() =>
            trades.length === 0 ? (
              <Empty title={t('noTrades')}>{t('noTradesHint')}</Empty>
            ) : (
              <div className="flex h-96 flex-col">
                <Rows
                  count={trades.length}
                  label={t('trades')}
                  head={<Head />}
                  keyOf={String}
                  row={(index) => {
                    const trade = trades[index]
                    return trade && <Line trade={trade} />
                  }}
                  onEnd={onEnd}
                />
              </div>
            )
          }
        </Asked>
      </Panel>
    </>
  )
}

/** The first page of one symbol's trades on its price. */
function Marked({ job_id, rank, symbol }: { job_id: string; rank: number; symbol: string }) {
  const api = useApi()
  const price = useQuery(seriesQuery(api, job_id, { rank, symbol, columns: ['price'], max_points: 10_000 }))
  const trades = useInfiniteQuery(tradesQuery(api, job_id, { rank, symbol, sort: 'entry_date' }))
  const [page] = trades.data?.pages ?? []
  if (price.data === undefined || page === undefined) return null
  const [missing] = price.data.left_out
  if (missing !== undefined)
    return (
      <p className="rounded-lg border border-line bg-surface px-4 py-3 text-[13px] text-muted">
        {missing.text}
      </p>
    )
  return <PriceTrades symbol={symbol} found={price.data} trades={page.items} total={page.total} />
}

const line =
  'grid h-full items-center gap-3 px-4 grid-cols-[minmax(4rem,1fr)_6rem_5.5rem] ' +
  'md:grid-cols-[minmax(4rem,1fr)_6rem_6rem_6rem_6rem_5rem] xl:grid-cols-[minmax(4rem,1fr)_6rem_6rem_6rem_6rem_6rem_6rem_5rem_4rem_minmax(5rem,8rem)]'

function Head() {
  const t = useText(results)
  const cell = (text: string, shape: string) => (
    <span role="columnheader" className={shape}>
      {text}
    </span>
  )
  return (
    <div role="row" className={`${line} h-8! text-xs text-muted`}>
      {cell(t('symbol'), '')}
      {cell(t('entry'), '')}
      {cell(t('exit'), 'hidden md:block')}
      {cell(t('price'), 'hidden text-right xl:block')}
      {cell(t('exit'), 'hidden text-right xl:block')}
      {cell(t('units'), 'hidden text-right md:block')}
      {cell(t('pnl'), 'hidden text-right md:block')}
      {cell(t('return'), 'text-right')}
      {cell(t('bars'), 'hidden text-right xl:block')}
      {cell(t('reason'), 'hidden xl:block')}
    </div>
  )
}

function Line({ trade }: { trade: Trade }) {
  const t = useText(results)
  const language = useLanguage()
  const word = useWord(exitTexts)
  const { redIsUp } = usePrefs()
  const gains = (trade.pnl ?? 0) >= 0
  const tone = gains === redIsUp ? 'text-bad' : 'text-good'
  const price = (value: number | null) => (value === null ? '–' : number(value, language))
  return (
    <div className={line}>
      <span role="cell" className="truncate font-medium">
        {trade.symbol}{' '}
        <span className="font-normal text-muted">{(trade.units ?? 0) < 0 ? t('short') : ''}</span>
      </span>
      <span role="cell" className="tnum truncate">
        {trade.entry_date}
      </span>
      <span role="cell" className="tnum hidden truncate md:block">
        {trade.exit_date ?? t('open')}
      </span>
      <span role="cell" className="tnum hidden text-right xl:block">
        {price(trade.entry_price)}
      </span>
      <span role="cell" className="tnum hidden text-right xl:block">
        {price(trade.exit_price)}
      </span>
      <span role="cell" className="tnum hidden text-right md:block">
        {figure('units', trade.units, language)}
      </span>
      <span role="cell" className={`tnum hidden text-right md:block ${tone}`}>
        {figure('pnl', trade.pnl, language)}
      </span>
      <span role="cell" className={`tnum text-right ${tone}`}>
        {trade.return === null ? '–' : share(trade.return, language)}
      </span>
      <span role="cell" className="tnum hidden text-right xl:block">
        {trade.bars ?? '–'}
      </span>
      <span role="cell" className="hidden truncate text-muted xl:block">
        {trade.exit_reason === null ? t('open') : word(trade.exit_reason)}
      </span>
    </div>
  )
}
