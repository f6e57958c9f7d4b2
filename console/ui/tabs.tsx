import { Tabs as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

export interface Tab {
  id: string
  label: ReactNode
  content: () => ReactNode
}

/** Only the open one is rendered. */
export function Tabs({
  tabs,
  open,
  onOpen,
  label,
}: {
  tabs: readonly Tab[]
  open: string
  onOpen: (id: string) => void
  label: string
}) {
  const current = tabs.find(({ id }) => id === open) ?? tabs[0]
  if (current === undefined) return null
  return (
    <Radix.Root value={current.id} onValueChange={onOpen} className="flex min-h-0 min-w-0 flex-1 flex-col">
      <Radix.List aria-label={label} className="flex gap-4 overflow-x-auto border-b border-line px-4">
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.id}
            value={tab.id}
            className="-mb-px h-9 shrink-0 border-b-2 border-transparent text-muted hover:text-text data-[state=active]:border-accent data-[state=active]:text-text"
          >
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      <Radix.Content value={current.id} className="flex min-h-0 min-w-0 flex-1 flex-col">
        {current.content()}
      </Radix.Content>
    </Radix.Root>
  )
}
