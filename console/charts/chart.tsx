// Where a chart is drawn: loaded when it is needed, as wide as its place, and told in words to who does not see it.
import type { EChartsCoreOption, EChartsType } from 'echarts/core'
import { useEffect, useId, useRef } from 'react'

export type Option = EChartsCoreOption
export type Instance = EChartsType

interface ChartProps {
  option: Option
  /** What it is. */
  label: string
  /** What it shows, in a sentence. */
  about: string
  height: number
  /** Where its place is narrower it is moved sideways. */
  min_width?: number | undefined
  /** Called with each new instance; answers how to let go of it. */
  onInstance?: (chart: Instance) => () => void
}

interface Zoomed {
  dataZoom?: readonly { start?: number; end?: number; startValue?: number; endValue?: number }[]
}

/** What is looked at stays so when other numbers, or other colours, come. */
function redraw(chart: Instance, option: Option): void {
  const [zoom] = (chart.getOption() as Zoomed).dataZoom ?? []
  chart.setOption(option, { notMerge: true })
  if (zoom === undefined || (zoom.start === 0 && zoom.end === 100)) return
  const { startValue, endValue } = zoom
  chart.dispatchAction({ type: 'dataZoom', startValue, endValue })
}

export function Chart({ option, label, about, height, min_width, onInstance }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const drawn = useRef<Instance | null>(null)
  const wanted = useRef(option)
  const id = useId()
  useEffect(() => {
    wanted.current = option
    if (drawn.current) redraw(drawn.current, option)
  }, [option])
  useEffect(() => {
    const element = place.current
    if (element === null) return
    let left = false
    let letGo: (() => void) | undefined
    const sized = new ResizeObserver(() => drawn.current?.resize())
    void import('./engine.ts').then(({ init }) => {
      if (left) return
      const chart = init(element, null, { renderer: 'canvas' })
      chart.setOption(wanted.current)
      drawn.current = chart
      element.dataset['drawn'] = 'true'
      sized.observe(element)
      letGo = onInstance?.(chart)
    })
    return () => {
      left = true
      sized.disconnect()
      letGo?.()
      drawn.current?.dispose()
      drawn.current = null
    }
  }, [onInstance])
  const drawing = (
    <div
      ref={place}
      role="img"
      aria-label={label}
      aria-describedby={id}
      style={{ height, minWidth: min_width }}
    />
  )
  return (
    <figure className="min-w-0">
      {min_width === undefined ? (
        drawing
      ) : (
        <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={label}>
          {drawing}
        </div>
      )}
      <figcaption id={id} className="sr-only">
        {about}
      </figcaption>
    </figure>
  )
}
