// Every point as a line over its parameters and figures; stretches of axes that are marked choose among them.
import { type ReactNode, useCallback, useMemo } from 'react'
import type { ParallelData } from '../pages/sweep/shape.ts'
import { figure, plainNumber } from '../text/figures.ts'
import { useLanguage, useText } from '../text/language.tsx'
import type { Language } from '../text/texts.ts'
import { sweepTexts } from '../text/sweep.ts'
import { axisText, base } from './base.ts'
import type { Instance, Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel } from './panel.tsx'

interface ParallelProps {
  data: ParallelData
  /** Called with the rows that are chosen; null: all. */
  onChosen?: (rows: readonly number[] | null) => void
  note?: ReactNode
}

export function Parallel({ data, onChosen, note }: ParallelProps) {
  const t = useText(sweepTexts)
  const language = useLanguage()
  const colours = useColours()
  const option = useMemo(() => parallelOption(data, colours, language), [data, colours, language])
  const count = data.rows.length
  const onInstance = useCallback(
    (chart: Instance) => {
      chart.on('axisareaselected', () => onChosen?.(chosenRows(chart, count)))
      return () => undefined
    },
    [onChosen, count],
  )
  return (
    <ChartPanel
      title={t('parallel')}
      about={t('parallelAbout', { n: count, axes: data.axes.map(({ name }) => name).join(', ') })}
      option={option}
      height={340}
      min_width={680}
      note={note}
      onInstance={onInstance}
      numbers={() => ({
        head: data.axes.map(({ name }) => name),
        rows: data.rows.map((row) =>
          row.map((value, at) => shownAt(data.axes[at]?.metric ?? null, value, language)),
        ),
      })}
    />
  )
}

const shownAt = (metric: string | null, value: number | null, language: Language) =>
  value === null ? null : metric === null ? plainNumber(value, language) : figure(metric, value, language)

interface Selected {
  parallelAxis?: readonly { parallelIndex?: number }[]
  series?: readonly unknown[]
}

/** ECharts keeps what is marked as states of the series' rows. */
function chosenRows(chart: Instance, count: number): number[] | null {
  const model = (
    chart as unknown as {
      getModel: () => {
        getSeries: () => readonly { getRawIndicesByActiveState: (state: string) => number[] }[]
      }
    }
  ).getModel()
  const [series] = model.getSeries()
  const rows = series?.getRawIndicesByActiveState('active') ?? []
  const { parallelAxis } = chart.getOption() as Selected
  return parallelAxis === undefined || rows.length === 0 || rows.length === count ? null : rows
}

function parallelOption({ axes, rows }: ParallelData, colours: Colours, language: Language): Option {
  const by = axes.length - 1
  const values = rows.map((row) => row[by]).filter((value) => typeof value === 'number')
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return {
    ...base(colours),
    parallel: {
      left: 52,
      right: 60,
      top: 44,
      bottom: 24,
      parallelAxisDefault: {
        nameTextStyle: { color: colours.text, fontSize: 11 },
        nameGap: 14,
        axisLine: { lineStyle: { color: colours.quiet } },
        axisTick: { lineStyle: { color: colours.line } },
        splitNumber: 4,
        areaSelectStyle: {
          width: 16,
          borderColor: colours.series[0],
          color: colours.series[0],
          opacity: 0.25,
        },
      },
    },
    parallelAxis: axes.map(({ name, metric }, dim) => ({
      dim,
      name,
      type: 'value',
      scale: true,
      axisLabel: {
        ...axisText(colours),
        color: colours.text,
        textBorderColor: colours.surface,
        textBorderWidth: 3,
        formatter: (value: number) => shownAt(metric, value, language) ?? '',
      },
    })),
    visualMap: {
      show: false,
      dimension: by,
      min: values.length === 0 ? 0 : low,
      max: values.length === 0 ? 1 : high > low ? high : low + 1,
      inRange: { color: [...colours.ramp] },
    },
    tooltip: { show: false },
    series: [
      {
        type: 'parallel',
        lineStyle: { width: 1.25, opacity: rows.length > 300 ? 0.35 : 0.6 },
        inactiveOpacity: 0.04,
        activeOpacity: 0.9,
        smooth: false,
        // Dashes stand for none: such a line has a gap.
        data: rows.map((row) => row.map((value) => value ?? '-')),
        progressive: 500,
      },
    ],
  }
}
