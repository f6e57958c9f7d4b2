// One or several lines over time.
import { type ReactNode, useMemo } from 'react'
import { useLanguage } from '../text/language.tsx'
import type { Language } from '../text/texts.ts'
import { base, timeAxis, tipLines, valueAxis, zoom } from './base.ts'
import type { Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel } from './panel.tsx'

export interface Line {
  name: string
  values: readonly (number | null)[]
  /** Of what others are compared with. */
  quiet?: boolean
}

interface LinesProps {
  title: string
  about: string
  dates: readonly string[]
  lines: readonly Line[]
  format: (value: number, language: Language) => string
  date_name: string
  /** A level that divides good from bad. */
  level?: number
  height?: number
  actions?: ReactNode
  note?: ReactNode
}

export function Lines({
  title,
  about,
  dates,
  lines,
  format,
  date_name,
  level,
  height = 280,
  actions,
  note,
}: LinesProps) {
  const language = useLanguage()
  const colours = useColours()
  const option = useMemo(
    () => linesOption({ dates, lines, level, height, format: (value) => format(value, language) }, colours),
    [dates, lines, level, height, format, language, colours],
  )
  return (
    <ChartPanel
      title={title}
      about={about}
      option={option}
      height={height}
      actions={actions}
      note={note}
      numbers={() => ({
        head: [date_name, ...lines.map(({ name }) => name)],
        rows: dates.map((date, at) => [
          date,
          ...lines.map(({ values }) => {
            const value = values[at]
            return value === null || value === undefined ? null : format(value, language)
          }),
        ]),
      })}
    />
  )
}

interface Drawn {
  dates: readonly string[]
  lines: readonly Line[]
  level: number | undefined
  height: number
  format: (value: number) => string
}

function linesOption({ dates, lines, level, format }: Drawn, colours: Colours): Option {
  const colourOf = (at: number) =>
    lines[at]?.quiet ? colours.quiet : (colours.series[at % colours.series.length] ?? colours.text)
  return {
    ...base(colours),
    grid: { left: 60, right: 20, top: lines.length > 1 ? 44 : 20, bottom: 58 },
    legend: {
      show: lines.length > 1,
      type: 'scroll',
      top: 8,
      left: 12,
      right: 12,
      icon: 'roundRect',
      itemWidth: 12,
      itemHeight: 3,
      textStyle: { color: colours.muted, fontSize: 12 },
    },
    xAxis: timeAxis(colours),
    yAxis: valueAxis(colours, format),
    dataZoom: zoom(colours, [0]),
    tooltip: {
      ...base(colours).tooltip,
      trigger: 'axis',
      formatter: (
        given: readonly { seriesIndex: number; seriesName: string; value: [string, number | null] }[],
      ) =>
        tipLines(
          given[0]?.value[0] ?? '',
          given.map(({ seriesIndex, seriesName, value }) => ({
            name: seriesName,
            value: value[1] === null ? '–' : format(value[1]),
            colour: colourOf(seriesIndex),
          })),
        ),
    },
    series: lines.map(({ name, values, quiet }, at) => ({
      name,
      type: 'line',
      showSymbol: false,
      connectNulls: true,
      data: dates.map((date, place) => [date, values[place] ?? null]),
      lineStyle: { color: colourOf(at), width: 1.5, type: quiet ? [5, 4] : 'solid' },
      itemStyle: { color: colourOf(at) },
      emphasis: { disabled: true },
      ...(at === 0 && level !== undefined
        ? {
            markLine: {
              silent: true,
              symbol: 'none',
              label: { show: false },
              lineStyle: { color: colours.quiet, type: 'dashed' },
              data: [{ yAxis: level }],
            },
          }
        : {}),
    })),
  }
}
