// A symbol's price with where it was bought and sold.
import { useMemo } from 'react'
import type { Series, Trade } from '../api/results.ts'
import { column, pairs } from '../pages/backtest/shape.ts'
import { number, share, shortNumber } from '../text/figures.ts'
import { useLanguage, useText } from '../text/language.tsx'
import type { Language } from '../text/texts.ts'
import { results } from '../text/results.ts'
import { base, timeAxis, tipLines, valueAxis, zoom } from './base.ts'
import type { Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel } from './panel.tsx'

interface PriceTradesProps {
  symbol: string
  found: Series
  trades: readonly Trade[]
  total: number
}

export function PriceTrades({ symbol, found, trades, total }: PriceTradesProps) {
  const t = useText(results)
  const language = useLanguage()
  const colours = useColours()
  const names = useMemo(
    () => ({
      price: t('price'),
      entry: t('entry'),
      exit: t('exit'),
      return: t('return'),
      long: t('long'),
      short: t('short'),
    }),
    [t],
  )
  const option = useMemo(
    () => priceOption(found, trades, { colours, language, names }),
    [found, trades, colours, language, names],
  )
  return (
    <ChartPanel
      title={t('tradesOnPrice', { symbol })}
      about={t('tradesAbout', { n: total, symbol })}
      option={option}
      height={320}
      note={trades.length < total ? t('firstTrades', { shown: trades.length, all: total }) : undefined}
      numbers={() => ({
        head: [t('date'), t('price')],
        rows: found.series.date.map((date, at) => {
          const price = column(found, 'price')[at]
          return [date, typeof price === 'number' ? number(price, language) : null]
        }),
      })}
    />
  )
}

interface Look {
  colours: Colours
  language: Language
  names: { price: string; entry: string; exit: string; return: string; long: string; short: string }
}

interface Mark {
  value: [string, number | null]
  trade: Trade
  symbolRotate: number
  itemStyle: { color: string }
}

function priceOption(found: Series, trades: readonly Trade[], { colours, language, names }: Look): Option {
  const closed = trades.filter(({ exit_date }) => exit_date !== null)
  // Up where it is bought, down where it is sold; of a short the other way round.
  const mark = (trade: Trade, at: string | null, price: number | null, buys: boolean): Mark => ({
    value: [at ?? '', price],
    trade,
    symbolRotate: buys ? 0 : 180,
    itemStyle: { color: buys ? colours.up : colours.down },
  })
  const isLong = ({ units }: Trade) => (units ?? 0) >= 0
  return {
    ...base(colours),
    grid: { left: 60, right: 20, top: 40, bottom: 58 },
    legend: {
      top: 8,
      left: 12,
      itemWidth: 12,
      itemHeight: 8,
      textStyle: { color: colours.muted, fontSize: 12 },
    },
    xAxis: timeAxis(colours),
    yAxis: valueAxis(colours, (value) => shortNumber(value, language)),
    dataZoom: zoom(colours, [0]),
    tooltip: {
      ...base(colours).tooltip,
      trigger: 'item',
      formatter: ({ data, seriesName }: { data: Mark; seriesName: string }) =>
        markTip(data, seriesName, names, language),
    },
    series: [
      {
        name: names.price,
        type: 'line',
        showSymbol: false,
        data: pairs(found.series.date, found.series.price),
        lineStyle: { color: colours.quiet, width: 1.25 },
        itemStyle: { color: colours.quiet },
        emphasis: { disabled: true },
        tooltip: { show: false },
      },
      {
        name: names.entry,
        type: 'scatter',
        symbol: 'triangle',
        symbolSize: 9,
        itemStyle: { color: colours.up },
        data: trades.map((trade) => mark(trade, trade.entry_date, trade.entry_price, isLong(trade))),
      },
      {
        name: names.exit,
        type: 'scatter',
        symbol: 'triangle',
        symbolRotate: 180,
        symbolSize: 9,
        itemStyle: { color: colours.down },
        data: closed.map((trade) => mark(trade, trade.exit_date, trade.exit_price, !isLong(trade))),
      },
    ],
  }
}

function markTip({ value, trade }: Mark, name: string, names: Look['names'], language: Language): string {
  const side = (trade.units ?? 0) >= 0 ? names.long : names.short
  return tipLines(`${name} · ${side} · ${value[0]}`, [
    { name: names.price, value: number(value[1] ?? 0, language) },
    ...(trade.return === null ? [] : [{ name: names.return, value: share(trade.return, language) }]),
  ])
}
