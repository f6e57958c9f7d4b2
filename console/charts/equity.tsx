// Equity above, drawdown below, on one time axis that is zoomed as one.
import { type ReactNode, useCallback, useMemo, useRef, useState } from 'react'
import type { Series } from '../api/results.ts'
import { column, lastOf, leastOf, pairs } from '../pages/backtest/shape.ts'
import { number, share, shortNumber } from '../text/figures.ts'
import { useLanguage, useText } from '../text/language.tsx'
import type { Language } from '../text/texts.ts'
import { results } from '../text/results.ts'
import { Button } from '../ui/button.tsx'
import { Check } from '../ui/field.tsx'
import { axisText, base, timeAxis, tipLines, valueAxis, zoom } from './base.ts'
import type { Instance, Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel } from './panel.tsx'

interface EquityChartProps {
  found: Series
  /** Called with the stretch that is looked at, some time after it changed. */
  onWindow?: (from: string, to: string) => void
  note: ReactNode
}

/** Of a drag only the place where it ends counts. */
const settle_ms = 250

export function EquityChart({ found, onWindow, note }: EquityChartProps) {
  const t = useText(results)
  const language = useLanguage()
  const colours = useColours()
  const [isLog, setLog] = useState(false)
  const names = useMemo(() => ({ equity: t('equity'), hold: t('hold'), drawdown: t('drawdown') }), [t])
  const option = useMemo(
    () => equityOption(found, { colours, language, isLog, names }),
    [found, colours, language, isLog, names],
  )
  const { date } = found.series
  const { onInstance, show } = useWindow(date, onWindow)
  const drawdown = leastOf(column(found, 'drawdown'))
  return (
    <ChartPanel
      title={t('equityAndDrawdown')}
      about={t('equityAbout', {
        first: date[0] ?? '',
        last: date.at(-1) ?? '',
        end: number(lastOf(column(found, 'equity')) ?? 0, language, 0),
        drawdown: share(drawdown ?? 0, language),
      })}
      option={option}
      height={420}
      actions={
        <>
          <Stretches dates={date} show={show} />
          <Check label={t('logScale')} checked={isLog} onChange={({ target }) => setLog(target.checked)} />
        </>
      }
      note={note}
      onInstance={onInstance}
      numbers={() => ({
        head: [t('date'), t('equity'), t('drawdown'), t('hold')],
        rows: date.map((day, at) => [
          day,
          shown(column(found, 'equity')[at], (value) => number(value, language)),
          shown(column(found, 'drawdown')[at], (value) => share(value, language)),
          shown(column(found, 'hold')[at], (value) => number(value, language)),
        ]),
      })}
    />
  )
}

const shown = (value: number | string | null | undefined, format: (value: number) => string) =>
  typeof value === 'number' ? format(value) : null

interface Look {
  colours: Colours
  language: Language
  isLog: boolean
  names: { equity: string; hold: string; drawdown: string }
}

function equityOption(found: Series, { colours, language, isLog, names }: Look): Option {
  const { date, equity, hold, drawdown } = found.series
  const [own = ''] = colours.series
  const lines = [
    { name: names.equity, values: equity, colour: own, width: 1.75, dash: false },
    ...(hold ? [{ name: names.hold, values: hold, colour: colours.quiet, width: 1.25, dash: true }] : []),
  ]
  const bottom = timeAxis(colours)
  return {
    ...base(colours),
    grid: [
      { left: 60, right: 20, top: 34, height: 220 },
      { left: 60, right: 20, top: 276, height: 80 },
    ],
    legend: {
      top: 6,
      left: 12,
      icon: 'roundRect',
      itemWidth: 12,
      itemHeight: 3,
      data: lines.map(({ name }) => name),
      textStyle: { color: colours.muted, fontSize: 12 },
    },
    axisPointer: { link: [{ xAxisIndex: 'all' }] },
    xAxis: [
      { ...bottom, axisLabel: { show: false } },
      { ...bottom, gridIndex: 1 },
    ],
    yAxis: [
      { ...valueAxis(colours, (value) => shortNumber(value, language)), type: isLog ? 'log' : 'value' },
      {
        ...valueAxis(colours, (value) => share(value, language, 0)),
        gridIndex: 1,
        max: 0,
        splitNumber: 2,
        axisLabel: { ...axisText(colours), formatter: (value: number) => share(value, language, 0) },
      },
    ],
    dataZoom: zoom(colours, [0, 1]),
    tooltip: { ...base(colours).tooltip, trigger: 'axis', formatter: tipOf({ colours, language, names }) },
    series: [
      ...lines.map(({ name, values, colour, width, dash }) => ({
        name,
        type: 'line',
        showSymbol: false,
        data: pairs(date, values),
        lineStyle: { color: colour, width, type: dash ? [5, 4] : 'solid' },
        itemStyle: { color: colour },
        emphasis: { disabled: true },
      })),
      {
        name: names.drawdown,
        type: 'line',
        xAxisIndex: 1,
        yAxisIndex: 1,
        showSymbol: false,
        data: pairs(date, drawdown),
        lineStyle: { color: colours.down, width: 1 },
        itemStyle: { color: colours.down },
        areaStyle: { color: colours.down, opacity: 0.18 },
        emphasis: { disabled: true },
      },
    ],
  }
}

interface Pointed {
  seriesName: string
  value: [string, number | null]
}

function tipOf({ colours, language, names }: Omit<Look, 'isLog'>) {
  const colourOf = new Map([
    [names.equity, colours.series[0] ?? ''],
    [names.hold, colours.quiet],
    [names.drawdown, colours.down],
  ])
  return (given: readonly Pointed[]) =>
    tipLines(
      given[0]?.value[0] ?? '',
      given.map(({ seriesName: name, value: [, value] }) => ({
        name,
        value:
          value === null ? '–' : name === names.drawdown ? share(value, language) : number(value, language),
        colour: colourOf.get(name) ?? '',
      })),
    )
}

interface ZoomState {
  dataZoom?: readonly { startValue?: number; endValue?: number }[]
}

/** Tells of the stretch that is looked at, and shows another. */
function useWindow(dates: readonly string[], onWindow: EquityChartProps['onWindow']) {
  const drawn = useRef<Instance | null>(null)
  const show = useCallback((from: string, to: string) => {
    drawn.current?.dispatchAction({
      type: 'dataZoom',
      startValue: Date.parse(from),
      endValue: Date.parse(to),
    })
  }, [])
  const isThere = dates.length > 0
  const onInstance = useCallback(
    (chart: Instance) => {
      let timer: ReturnType<typeof setTimeout> | undefined
      const tell = () => {
        const [state] = (chart.getOption() as ZoomState).dataZoom ?? []
        if (state?.startValue === undefined || state.endValue === undefined || !isThere) return
        onWindow?.(new Date(state.startValue).toISOString(), new Date(state.endValue).toISOString())
      }
      drawn.current = chart
      chart.on('datazoom', () => {
        clearTimeout(timer)
        timer = setTimeout(tell, settle_ms)
      })
      return () => {
        drawn.current = null
        clearTimeout(timer)
      }
    },
    [isThere, onWindow],
  )
  return { onInstance, show }
}

const stretches = [1, 3, 5] as const
const year_ms = 365.25 * 86_400_000

/** The last years, for who zooms by keys. */
function Stretches({ dates, show }: { dates: readonly string[]; show: (from: string, to: string) => void }) {
  const t = useText(results)
  const [first, last] = [dates[0], dates.at(-1)]
  if (first === undefined || last === undefined) return null
  const years = (Date.parse(last) - Date.parse(first)) / year_ms
  return (
    <div className="hidden gap-0.5 sm:flex">
      {stretches
        .filter((n) => n < years)
        .map((n) => (
          <Button
            key={n}
            small
            look="quiet"
            onClick={() => show(new Date(Date.parse(last) - n * year_ms).toISOString(), last)}
          >
            {t('years', { n })}
          </Button>
        ))}
      <Button small look="quiet" onClick={() => show(first, last)}>
        {t('whole')}
      </Button>
    </div>
  )
}
