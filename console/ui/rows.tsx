// Rows of one height, of which only those in sight exist: a hundred thousand scroll like a hundred.
import { useVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, type RefObject, useEffect, useRef } from 'react'

export const row_px = 36

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
  foot?: ReactNode
  scroller?: RefObject<HTMLDivElement | null>
}

/** So many rows before the end the next are asked for. */
const near = 60

export function Rows({ count, label, head, row, keyOf, onEnd, current = -1, foot }: RowsProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => row_px,
    overscan: 12,
    getItemKey: keyOf,
  })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (last >= count - near) onEnd?.()
  }, [last, count, onEnd])
  useEffect(() => {
    if (current >= 0) virtual.scrollToIndex(current)
  }, [current, virtual])
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
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => (
            <div
              key={item.key}
              role="row"
              aria-rowindex={item.index + 2}
              className={`absolute inset-x-0 border-b border-line hover:bg-sunken ${item.index === current ? 'bg-accent-wash shadow-[inset_2px_0_0_var(--accent)]' : ''}`}
              style={{ height: row_px, transform: `translateY(${item.start}px)` }}
            >
              {row(item.index)}
            </div>
          ))}
        </div>
      </div>
      {foot}
    </div>
  )
}
