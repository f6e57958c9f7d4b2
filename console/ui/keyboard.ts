// Keys without a modifier, alone or two after each other (`g j`), wherever nobody is typing.
import { useEffect } from 'react'

/** The second key of two comes within this time. */
const pair_ms = 1_000

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>

export function useKeys(keys: Keys): void {
  useEffect(() => {
    let first: { key: string; at: number } | null = null
    const pressed = (event: KeyboardEvent) => {
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return
      const { key, timeStamp } = event
      const pair = first !== null && timeStamp - first.at < pair_ms ? `${first.key} ${key}` : null
      first = { key, at: timeStamp }
      const act = (pair === null ? undefined : keys[pair]) ?? keys[key]
      if (act === undefined) return
      first = null
      event.preventDefault()
      act(event)
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  }, [keys])
}

function isTyping({ target, defaultPrevented }: KeyboardEvent): boolean {
  if (defaultPrevented) return true
  if (!(target instanceof HTMLElement)) return false
  // Inside of a dialog or a menu its own keys hold.
  return (
    target.isContentEditable ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
    target.closest('[role=dialog], [role=menu]') !== null
  )
}
