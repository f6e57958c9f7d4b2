// A figure over two parameters.
import { type ReactNode, useMemo } from 'react'
import type { Cell, SurfaceData } from '../pages/sweep/shape.ts'
import { plainNumber } from '../text/figures.ts'
import { useLanguage, useText } from '../text/language.tsx'
import type { Language } from '../text/texts.ts'
import { results } from '../text/results.ts'
import { sweepTexts } from '../text/sweep.ts'
import { axisText, base, nameAxis, tipLines } from './base.ts'
import type { Option } from './chart.tsx'
import { type Colours, useColours } from './colours.ts'
import { ChartPanel } from './panel.tsx'

interface SurfaceChartProps {
  data: SurfaceData
  value_name: string
  format: (value: number) => string
  /** The best of them is marked; of some metrics it is the least. */
  least_is_best: boolean
  actions: ReactNode
  note: ReactNode
}

export function SurfaceChart({ data, value_name, format, least_is_best, actions, note }: SurfaceChartProps) {
  const t = useText(sweepTexts)
  const r = useText(results)
  const language = useLanguage()
  const colours = useColours()
  const option = useMemo(
    () => surfaceOption(data, { colours, language, value_name, format, points: r('pointsTried') }),
    [data, colours, language, value_name, format, r],
  )
  const best = bestCell(data.cells, least_is_best)
  return (
    <ChartPanel
      title={t('surfaceTitle', { value: value_name, x: data.x.name, y: data.y.name })}
      about={t('surfaceAbout', {
        n: data.cells.length,
        best: best ? format(best.value) : '–',
        x: `${data.x.name} ${best ? data.x.values[best.x] : ''}`,
        y: `${data.y.name} ${best ? data.y.values[best.y] : ''}`,
      })}
      option={option}
      height={Math.min(560, Math.max(300, 120 + data.y.values.length * 26))}
      min_width={isLabelled(data) ? 160 + data.x.values.length * cell_px : 440}
      actions={actions}
      note={note}
      numbers={() => ({
        head: [data.x.name, data.y.name, value_name],
        rows: data.cells.map(({ x, y, value }) => [
          data.x.values[x] ?? null,
          data.y.values[y] ?? null,
          format(value),
        ]),
      })}
    />
  )
}

function bestCell(cells: readonly Cell[], least: boolean): Cell | undefined {
  let best: Cell | undefined
  for (const cell of cells)
    if (best === undefined || (least ? cell.value < best.value : cell.value > best.value)) best = cell
  return best
}

interface Look {
  colours: Colours
  language: Language
  value_name: string
  format: (value: number) => string
  points: string
}

/** Figures in the cells are read where there is room for them. */
const isLabelled = ({ x, y }: SurfaceData) => x.values.length <= 14 && y.values.length <= 21
/** Of a cell with a figure in it. */
const cell_px = 38

function surfaceOption(data: SurfaceData, look: Look): Option {
  const { x, y, cells } = data
  const { colours, language, value_name, format, points } = look
  const values = cells.map(({ value }) => value)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const shown = (each: number) => plainNumber(each, language)
  return {
    ...base(colours),
    grid: { left: 70, right: 84, top: 16, bottom: 48 },
    xAxis: nameAxis(colours, x.values.map(shown), x.name),
    yAxis: { ...nameAxis(colours, y.values.map(shown), y.name), nameGap: 48, nameRotate: 90 },
    visualMap: {
      min: low,
      max: high > low ? high : low + 1,
      calculable: true,
      right: 6,
      top: 'middle',
      itemHeight: 160,
      itemWidth: 12,
      precision: 3,
      inRange: { color: [...colours.ramp] },
      textStyle: axisText(colours),
      formatter: (value: number) => format(value),
    },
    tooltip: {
      ...base(colours).tooltip,
      formatter: ({ data: { cell } }: { data: { cell: Cell } }) =>
        tipLines(`${x.name} ${shown(x.values[cell.x] ?? 0)} · ${y.name} ${shown(y.values[cell.y] ?? 0)}`, [
          { name: value_name, value: format(cell.value) },
          { name: points, value: shown(cell.points) },
        ]),
    },
    series: [
      {
        type: 'heatmap',
        data: cells.map((cell) => ({ value: [cell.x, cell.y, cell.value], cell })),
        itemStyle: { borderColor: colours.surface, borderWidth: 1, borderRadius: 2 },
        emphasis: { itemStyle: { borderColor: colours.text, borderWidth: 2 } },
        label: {
          show: isLabelled(data),
          fontSize: 10,
          formatter: ({ data: { cell } }: { data: { cell: Cell } }) => format(cell.value),
          color: '#ffffff',
          textBorderColor: 'rgba(0,0,0,.55)',
          textBorderWidth: 2,
        },
      },
    ],
  }
}
