// Bars: of folds upright, of features lying, with their deviation where it is known.
import { type ReactNode, useMemo } from 'react'
import { base, nameAxis, tipLines, valueAxis } from './base.ts'
import type { Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel } from './panel.tsx'

export interface Bar {
  name: string
  value: number | null
  deviation?: number | null
}

interface BarsProps {
  title: string
  about: string
  bars: readonly Bar[]
  head: readonly [name: string, value: string]
  format: (value: number) => string
  lying?: boolean
  /** A level to compare with, by name. */
  level?: { name: string; value: number } | undefined
  actions?: ReactNode
  note?: ReactNode
  height?: number
}

export function Bars({
  title,
  about,
  bars,
  head,
  format,
  lying = false,
  level,
  actions,
  note,
  height = 280,
}: BarsProps) {
  const colours = useColours()
  const option = useMemo(
    () => barsOption({ bars, format, lying, level }, colours),
    [bars, format, lying, level, colours],
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
        head,
        rows: bars.map(({ name, value, deviation }) => [
          name,
          value === null ? null : `${format(value)}${deviation ? ` ± ${format(deviation)}` : ''}`,
        ]),
      })}
    />
  )
}

type Drawn = Pick<BarsProps, 'bars' | 'format' | 'level'> & { lying: boolean }

function barsOption({ bars, format, lying, level }: Drawn, colours: Colours): Option {
  const names = nameAxis(
    colours,
    bars.map(({ name }) => name),
  )
  const values = { ...valueAxis(colours, format), scale: false }
  const [own = ''] = colours.series
  return {
    ...base(colours),
    grid: { left: lying ? 120 : 60, right: 24, top: 20, bottom: 30 },
    xAxis: lying ? values : names,
    yAxis: lying
      ? { ...names, inverse: true, axisLabel: { ...names.axisLabel, width: 104, overflow: 'truncate' } }
      : values,
    tooltip: {
      ...base(colours).tooltip,
      trigger: 'axis',
      axisPointer: { type: 'shadow', shadowStyle: { color: colours.quiet, opacity: 0.12 } },
      formatter: ([given]: readonly { dataIndex: number }[]) => {
        const bar = bars[given?.dataIndex ?? 0]
        const value = bar?.value === null || bar === undefined ? '–' : format(bar.value)
        return tipLines(bar?.name ?? '', [
          { name: '', value: bar?.deviation ? `${value} ± ${format(bar.deviation)}` : value, colour: own },
        ])
      },
    },
    series: [
      {
        type: 'bar',
        barMaxWidth: 34,
        data: bars.map(({ value }) => value),
        itemStyle: { color: own, borderRadius: 2 },
        emphasis: { disabled: true },
        ...(level === undefined
          ? {}
          : {
              markLine: {
                silent: true,
                symbol: 'none',
                lineStyle: { color: colours.text, type: 'dashed', width: 1 },
                label: {
                  formatter: `${level.name} ${format(level.value)}`,
                  position: 'insideEndTop',
                  color: colours.text,
                  fontSize: 11,
                },
                data: [{ yAxis: level.value }],
              },
            }),
      },
    ],
  }
}
