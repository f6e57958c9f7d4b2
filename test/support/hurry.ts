// Adapters that have all the time that a busy machine takes, until a case is about vendors that never answer.
import type { Provider } from '../../providers/provider.ts'

const usual_ms = 30_000

/** `hurry()`: from then on all adapters that `hurried` made give a call up after `short_ms`. */
export function openHurry(short_ms: number) {
  let bound_ms = usual_ms
  return {
    hurry: () => void (bound_ms = short_ms),
    /** An adapter that is opened anew when the bound has changed. */
    hurried(open: (bound_ms: number) => Provider): Provider {
      let opened = { bound_ms, provider: open(bound_ms) }
      const now = () => {
        if (opened.bound_ms !== bound_ms) opened = { bound_ms, provider: open(bound_ms) }
        return opened.provider
      }
      return new Proxy(opened.provider, { get: (_, name) => Reflect.get(now(), name) as unknown })
    },
  }
}
