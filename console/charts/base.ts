// What all charts have alike: text, axes, what is shown where one points.
import type { Colours } from './colours.ts'

/** As in styles.css: a canvas takes no variables. */
export const font =
  'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'

export const base = (colours: Colours) => ({
  animation: false,
  textStyle: { fontFamily: font, color: colours.muted },
  tooltip: {
    confine: true,
    backgroundColor: colours.raised,
    borderColor: colours.line,
    borderWidth: 1,
    padding: [6, 10],
    textStyle: { color: colours.text, fontSize: 12, fontFamily: font },
    extraCssText: 'border-radius:6px;font-variant-numeric:tabular-nums;',
  },
})

export const axisText = (colours: Colours) => ({ color: colours.muted, fontSize: 11, hideOverlap: true })

export const valueAxis = (colours: Colours, format: (value: number) => string) => ({
  type: 'value' as const,
  scale: true,
  axisLabel: { ...axisText(colours), formatter: format },
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: colours.line } },
})

export const timeAxis = (colours: Colours) => ({
  type: 'time' as const,
  axisLabel: axisText(colours),
  axisLine: { lineStyle: { color: colours.line } },
  axisTick: { show: false },
  splitLine: { show: false },
  axisPointer: { lineStyle: { color: colours.muted, type: 'dashed' as const } },
})

export const nameAxis = (colours: Colours, names: readonly (string | number)[], name?: string) => ({
  type: 'category' as const,
  data: names.map(String),
  name,
  nameLocation: 'middle' as const,
  nameGap: 26,
  nameTextStyle: { color: colours.muted, fontSize: 11 },
  axisLabel: axisText(colours),
  axisLine: { lineStyle: { color: colours.line } },
  axisTick: { show: false },
  splitArea: { show: false },
})

/** Of all grids of a chart: the wheel with Ctrl, dragging the handles below, and by fingers. */
export const zoom = (colours: Colours, axes: readonly number[], bottom = 8) => [
  {
    type: 'inside' as const,
    xAxisIndex: [...axes],
    zoomOnMouseWheel: 'ctrl' as const,
    moveOnMouseMove: 'shift' as const,
  },
  {
    type: 'slider' as const,
    xAxisIndex: [...axes],
    height: 18,
    bottom,
    borderColor: colours.line,
    backgroundColor: 'transparent',
    fillerColor: `${colours.series[0]}22`,
    dataBackground: { lineStyle: { color: colours.line }, areaStyle: { color: colours.line, opacity: 0.5 } },
    selectedDataBackground: { lineStyle: { color: colours.quiet }, areaStyle: { color: colours.line } },
    handleStyle: { color: colours.surface, borderColor: colours.muted },
    moveHandleStyle: { color: colours.line },
    textStyle: { color: colours.muted, fontSize: 10 },
  },
]

/** Text of others in what is shown as HTML. */
export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`)

/** Lines of a tooltip: a mark, a name, a figure. */
export function tipLines(
  title: string,
  lines: readonly { name: string; value: string; colour?: string }[],
): string {
  const rows = lines.map(({ name, value, colour }) => {
    const mark = `<span style="display:inline-block;width:8px;height:8px;border-radius:2px;margin-right:6px;background:${colour ?? 'transparent'}"></span>`
    return `<div style="display:flex;gap:16px;justify-content:space-between"><span>${mark}${escaped(name)}</span><b style="font-weight:600">${escaped(value)}</b></div>`
  })
  return `<div style="opacity:.75;margin-bottom:2px">${escaped(title)}</div>${rows.join('')}`
}
