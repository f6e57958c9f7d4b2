// An account that does what it is asked, at once: what a server costs beside it is the server's own.
import type { Handle, LaunchRequest, Provider } from '../../providers/provider.ts'

export interface SteadyCloud {
  provider: Provider
  /** Every launch call, in order. */
  launches: { request: LaunchRequest; token: string; at_ms: number }[]
  /** How many observations were given. */
  inspected: () => number
}

/** `launch` answers when the given promise does: a slow vendor. */
export function createSteadyCloud(
  launch: (request: LaunchRequest) => Promise<void> = () => Promise.resolve(),
): SteadyCloud {
  const launches: SteadyCloud['launches'] = []
  let inspected = 0
  const provider: Provider = {
    name: 'steady',
    account: 'main',
    traits: {
      runs_images: false,
      launch_token: true,
      inspect_batch: 100,
      list_lag_ms: 0,
      boot_s: 1,
      boot_bound_s: 3_600,
      min_billing_s: 0,
      dead_man_min_s: 0,
      calls_per_s: 100,
      billing: 'billed',
    },
    check: () => Promise.resolve([]),
    offers: () =>
      Promise.resolve([
        {
          id: 'cpu',
          provider: 'steady',
          account: 'main',
          region: 'here',
          spot: false,
          usd_per_hour: 0.36,
          gpu: null,
          cpu: 8,
          memory_gib: 32,
          disk_gib: 100,
          available: null,
          slots: null,
        },
      ]),
    async launch(request, { token }): Promise<Handle> {
      launches.push({ request, token, at_ms: performance.now() })
      await launch(request)
      return { machine: request.name }
    },
    inspect(refs) {
      inspected += refs.length
      return Promise.resolve(refs.map(() => ({ state: 'running', detail: null })))
    },
    stop: () => Promise.resolve(),
    async *list() {
      yield* []
    },
  }
  return { provider, launches, inspected: () => inspected }
}
