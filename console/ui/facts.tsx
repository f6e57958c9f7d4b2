import type { ReactNode } from 'react'

/** Names and values in a row that wraps. */
export function Facts({
  items,
}: {
  items: readonly (readonly [name: ReactNode, value: ReactNode] | null)[]
}) {
  return (
    <dl className="flex flex-wrap gap-x-8 gap-y-2 px-4 pb-3 text-[13px]">
      {items.map((item, index) =>
        item === null ? null : (
          <div key={index} className="min-w-0">
            <dt className="text-xs text-muted">{item[0]}</dt>
            <dd className="min-w-0">{item[1]}</dd>
          </div>
        ),
      )}
    </dl>
  )
}
