// A provider in memory for tests: it does what it is told, or fails as it is told.
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.ts'
import type { Clock } from '../../jobs/deps.ts'
import type { LaunchRequest, LaunchSecrets, Observation, Offer, Provider } from '../../providers/provider.ts'

export function createModelProvider(clock: Clock) {
  const machines = new Map<string, { request: LaunchRequest; seen: Observation } & LaunchSecrets>()
  const calls: { call: string; attempt_id: string }[] = []
  const faults: { launch: ProviderErrorCode[]; inspect: ProviderErrorCode[] } = { launch: [], inspect: [] }
  const offers: Offer[] = [
    {
      id: 'cpu',
      provider: 'model',
      account: 'main',
      region: 'here',
      spot: false,
      usd_per_hour: 0.36,
      gpu: null,
      cpu: 8,
      memory_gib: 32,
      disk_gib: 100,
      available: null,
      slots: 2,
    },
  ]
  const fail = (code: ProviderErrorCode) => new ProviderError(code, { provider: 'model', detail: 'as told' })
  const provider: Provider = {
    name: 'model',
    account: 'main',
    traits: {
      runs_images: false,
      launch_token: true,
      inspect_batch: 100,
      list_lag_ms: 0,
      boot_s: 10,
      boot_bound_s: 300,
      min_billing_s: 0,
      dead_man_min_s: 0,
      calls_per_s: 100,
      billing: 'modelled',
    },
    check: () => Promise.resolve([]),
    offers: () => Promise.resolve(offers),
    launch(request, secrets) {
      calls.push({ call: 'launch', attempt_id: request.attempt_id })
      const code = faults.launch.shift()
      const known = machines.get(request.attempt_id)
      if (!known && (!code || code === 'unknown_outcome'))
        machines.set(request.attempt_id, {
          request,
          ...secrets,
          seen: { state: 'running', detail: null },
        })
      if (code) return Promise.reject(fail(code))
      return Promise.resolve({ machine: request.name, at: clock.now().toISOString() })
    },
    inspect(refs) {
      const code = faults.inspect.shift()
      if (code) return Promise.reject(fail(code))
      return Promise.resolve(
        refs.map(
          ({ attempt_id }) => machines.get(attempt_id)?.seen ?? { state: 'gone' as const, detail: null },
        ),
      )
    },
    stop(ref) {
      calls.push({ call: 'stop', attempt_id: ref.attempt_id })
      const machine = machines.get(ref.attempt_id)
      if (machine && machine.seen.state !== 'exited') machine.seen = { state: 'gone', detail: null }
      return Promise.resolve()
    },
    async *list() {
      for (const [attempt_id, { request, seen }] of machines)
        if (seen.state === 'running')
          yield { name: request.name, attempt_id, handle: {}, usd_per_hour: 0.36, since: null }
    },
  }
  return { provider, offers, machines, calls, faults }
}
