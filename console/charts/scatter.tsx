// Points over two figures, with lines through them.
import { type ReactNode, useMemo } from 'react'
import { axisText, base, tipLines, valueAxis } from './base.ts'
import type { Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel, type Numbers } from './panel.tsx'

type Pair = readonly [x: number, y: number]

export interface Cloud {
  name: string
  pairs: readonly Pair[]
}
export interface Through {
  name: string
  pairs: readonly Pair[]
  look: 'line' | 'dashed' | 'step'
}

interface ScatterProps {
  title: string
  about: string
  clouds: readonly Cloud[]
  lines: readonly Through[]
  x: { name: string; format: (value: number) => string }
  y: { name: string; format: (value: number) => string }
  numbers: () => Numbers
  actions?: ReactNode
  note?: ReactNode
  height?: number
}

export function Scatter({
  title,
  about,
  clouds,
  lines,
  x,
  y,
  numbers,
  actions,
  note,
  height = 320,
}: ScatterProps) {
  const colours = useColours()
  const option = useMemo(
    () => scatterOption({ clouds, lines, x, y }, colours),
    [clouds, lines, x, y, colours],
  )
  return (
    <ChartPanel
      title={title}
      about={about}
      option={option}
      height={height}
      actions={actions}
      note={note}
      numbers={numbers}
    />
  )
}

type Drawn = Pick<ScatterProps, 'clouds' | 'lines' | 'x' | 'y'>

function scatterOption({ clouds, lines, x, y }: Drawn, colours: Colours): Option {
  const many = clouds.reduce((sum, { pairs }) => sum + pairs.length, 0) > 500
  const colourOf = (at: number) => colours.series[at % colours.series.length] ?? ''
  return {
    ...base(colours),
    grid: { left: 66, right: 24, top: 44, bottom: 46 },
    legend: {
      type: 'scroll',
      top: 8,
      left: 12,
      right: 12,
      itemWidth: 12,
      itemHeight: 8,
      textStyle: { color: colours.muted, fontSize: 12 },
    },
    xAxis: {
      ...valueAxis(colours, x.format),
      name: x.name,
      nameLocation: 'middle',
      nameGap: 28,
      nameTextStyle: axisText(colours),
    },
    yAxis: valueAxis(colours, y.format),
    tooltip: {
      ...base(colours).tooltip,
      trigger: 'item',
      formatter: ({ seriesName, value }: { seriesName: string; value: Pair }) =>
        tipLines(seriesName, [
          { name: x.name, value: x.format(value[0]) },
          { name: y.name, value: y.format(value[1]) },
        ]),
    },
    series: [
      ...clouds.map(({ name, pairs }, at) => ({
        name,
        type: 'scatter',
        data: pairs,
        symbolSize: many ? 4 : 8,
        itemStyle: { color: colourOf(at), opacity: many ? 0.35 : 0.85 },
      })),
      ...lines.map(({ name, pairs, look }, at) => ({
        name,
        type: 'line',
        data: pairs,
        step: look === 'step' ? 'end' : undefined,
        showSymbol: look === 'line',
        symbolSize: 7,
        lineStyle: {
          color: look === 'dashed' ? colours.quiet : colourOf(clouds.length + at),
          width: look === 'dashed' ? 1 : 1.75,
          type: look === 'dashed' ? 'dashed' : 'solid',
        },
        itemStyle: { color: look === 'dashed' ? colours.quiet : colourOf(clouds.length + at) },
      })),
    ],
  }
}
