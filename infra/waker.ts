import type { Waker } from '../jobs/deps.ts'

/** Wakes waiters of this process. A wake that nobody waits for is kept for the topic's next waiter, once. */
export function createWaker(): Waker {
  const waiting = new Map<string, Set<() => void>>()
  const missed = new Set<string>()
  // Only these have one steady waiter that must not miss a wake; topics of one job or project would pile up.
  const kept = (topic: string) => !topic.includes(':')
  return {
    wake(topic) {
      const waiters = waiting.get(topic)
      if (waiters) {
        waiting.delete(topic)
        for (const resolve of waiters) resolve()
      } else if (kept(topic)) missed.add(topic)
    },
    wait(topic, timeout_ms, signal) {
      if (missed.delete(topic) || signal?.aborted) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      const waiters = waiting.get(topic) ?? new Set()
      waiting.set(topic, waiters.add(resolve))
      const timer = setTimeout(resolve, timeout_ms)
      const end = () => resolve()
      signal?.addEventListener('abort', end, { once: true })
      return promise.finally(() => {
        clearTimeout(timer)
        // The signal of a loop outlives thousands of its waits.
        signal?.removeEventListener('abort', end)
        waiters.delete(resolve)
        if (waiters.size === 0 && waiting.get(topic) === waiters) waiting.delete(topic)
      })
    },
  }
}
