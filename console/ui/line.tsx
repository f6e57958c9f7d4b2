// A small line over time, drawn without a library: for figures that grow while one looks.
import { type PointerEvent, useState } from 'react'

export interface Reading {
  at: number
  value: number
}

interface LineProps {
  label: string
  readings: readonly Reading[]
  /** As it is written beside the line. */
  format: (value: number) => string
  /** The top of the scale; left out: the largest reading. */
  most?: number
}

const width = 320
const height = 72

export function Line({ label, readings, format, most }: LineProps) {
  const [at, setAt] = useState<number | null>(null)
  const first = readings[0]
  const last = readings.at(-1)
  if (first === undefined || last === undefined) return null
  const top = most ?? Math.max(1e-9, ...readings.map(({ value }) => value)) * 1.1
  const span = Math.max(1, last.at - first.at)
  const x = (reading: Reading) => ((reading.at - first.at) / span) * width
  const y = (reading: Reading) => height - 2 - (Math.min(reading.value, top) / top) * (height - 6)
  const path = readings
    .map((reading, n) => `${n === 0 ? 'M' : 'L'}${x(reading).toFixed(1)} ${y(reading).toFixed(1)}`)
    .join('')
  const shown = at === null ? last : nearest(readings, first.at + at * span)
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect()
    setAt((event.clientX - box.left) / box.width)
  }
  return (
    <figure className="min-w-0 rounded-lg border border-line bg-surface px-3 pt-2 pb-1">
      <figcaption className="flex items-baseline justify-between gap-2 text-[13px]">
        <span className="truncate text-muted">{label}</span>
        <span className="tnum font-medium">{format(shown.value)}</span>
      </figcaption>
      <svg
        role="img"
        aria-label={`${label}: ${format(last.value)}`}
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        className="mt-1 h-18 w-full"
        onPointerMove={point}
        onPointerLeave={() => setAt(null)}
      >
        <path d={`${path}L${x(last).toFixed(1)} ${height}L0 ${height}Z`} className="fill-accent-wash" />
        <path
          d={path}
          fill="none"
          className="stroke-accent"
          strokeWidth={1.5}
          vectorEffect="non-scaling-stroke"
        />
        {at === null ? null : (
          <line
            x1={x(shown)}
            x2={x(shown)}
            y1={0}
            y2={height}
            className="stroke-line-strong"
            vectorEffect="non-scaling-stroke"
          />
        )}
      </svg>
    </figure>
  )
}

function nearest(readings: readonly Reading[], at: number): Reading {
  return readings.reduce((best, each) => (Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best))
}
