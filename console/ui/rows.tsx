// Rows of one height, of which only those in sight exist: a hundred thousand scroll like a hundred. What is in sight follows from where
// one has scrolled to alone, so that nothing is kept or measured for a row.
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react'

const row_px = 36
const head_px = 33
/** Rows before and after those in sight, for a wheel that is faster than a frame. */
const beside = 14
/** So many rows before the end the next are asked for. */
const near = 80

interface RowsProps {
  count: number
  label: string
  head: ReactNode
  row: (index: number) => ReactNode
  keyOf: (index: number) => string
  /** Called when the end comes near. */
  onEnd?: () => void
  /** The row that keys move. */
  current?: number
}

export function Rows({ count, label, head, row, keyOf, onEnd, current = -1 }: RowsProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const [first, last] = useInSight(scroller, count)
  useEffect(() => {
    if (last >= count - near) onEnd?.()
  }, [last, count, onEnd])
  useEffect(() => {
    const box = scroller.current
    if (box === null || current < 0) return
    const top = current * row_px
    const bottom = top + row_px + head_px
    if (top < box.scrollTop) box.scrollTop = top
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight
  }, [current])
  return (
    <div
      ref={scroller}
      className="min-h-0 flex-1 overflow-auto"
      role="region"
      aria-label={label}
      tabIndex={0}
    >
      <div role="table" aria-label={label} aria-rowcount={count + 1} className="min-w-full text-[13px]">
        <div role="rowgroup" className="sticky top-0 z-10 border-b border-line bg-canvas">
          {head}
        </div>
        <div role="rowgroup" className="relative" style={{ height: count * row_px }}>
          {Array.from({ length: Math.max(0, last - first) }, (_, n) => first + n).map((index) => (
            <div
              key={keyOf(index)}
              role="row"
              aria-rowindex={index + 2}
              className={`absolute inset-x-0 contain-strict border-b border-line hover:bg-sunken ${index === current ? 'bg-accent-wash shadow-[inset_2px_0_0_var(--accent)]' : ''}`}
              style={{ height: row_px, transform: `translateY(${index * row_px}px)` }}
            >
              {row(index)}
            </div>
          ))}
        </div>
      </div>
    </div>
  )
}

/** The first row that is drawn, and the one after the last. */
function useInSight(
  scroller: React.RefObject<HTMLDivElement | null>,
  count: number,
): readonly [number, number] {
  const [seen, setSeen] = useState({ first: 0, last: 60 })
  useLayoutEffect(() => {
    const box = scroller.current
    if (box === null) return
    const look = () => {
      const first = Math.max(0, Math.floor(box.scrollTop / row_px) - beside)
      const last = Math.ceil((box.scrollTop + box.clientHeight) / row_px) + beside
      setSeen((before) => (before.first === first && before.last === last ? before : { first, last }))
    }
    look()
    const sized = new ResizeObserver(look)
    sized.observe(box)
    box.addEventListener('scroll', look, { passive: true })
    return () => {
      sized.disconnect()
      box.removeEventListener('scroll', look)
    }
  }, [scroller])
  return [Math.min(seen.first, count), Math.min(seen.last, count)]
}
