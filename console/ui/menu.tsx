import { DropdownMenu as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

export interface MenuItem {
  id: string
  label: ReactNode
  onSelect: () => void
  danger?: boolean
  why_not?: string | null
}

export function Menu({ trigger, items }: { trigger: ReactNode; items: readonly MenuItem[] }) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          align="end"
          sideOffset={4}
          collisionPadding={8}
          className="z-50 min-w-44 rounded-md border border-line bg-raised p-1 shadow-pop"
        >
          {items.map(({ id, label, onSelect, danger, why_not }) => (
            <Radix.Item
              key={id}
              disabled={Boolean(why_not)}
              onSelect={onSelect}
              className={`flex min-h-8 cursor-default items-center rounded px-2 outline-none data-disabled:opacity-60 data-highlighted:bg-idle-wash ${danger ? 'text-bad' : ''}`}
            >
              <span className="flex flex-col">
                {label}
                {why_not ? <span className="text-xs text-muted">{why_not}</span> : null}
              </span>
            </Radix.Item>
          ))}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
