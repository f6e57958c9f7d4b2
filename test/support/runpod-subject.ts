// The RunPod adapter for the conformance suite, over either of its APIs, on demand or interruptible.
import { type BackEnd, requestFor, type Subject } from '../../providers/conformance/subject.ts'
import { registryName } from '../../providers/runpod/launch.ts'
import type { RunpodProviderOptions } from '../../providers/runpod/options.ts'
import { createRunpodProvider } from '../../providers/runpod/runpod.ts'
import { apiKey, openRunpod } from '../fakes/runpod.ts'

export const installation = '4q7k2m9x3vtb'

export const openFakeRunpod = openRunpod

export const runpodOptions = (
  given: Pick<RunpodProviderOptions, 'url' | 'clock'> & Partial<RunpodProviderOptions>,
): RunpodProviderOptions => ({
  account: 'desk',
  installation,
  api_key: apiKey,
  transport: 'graphql',
  clouds: ['secure'],
  gpu_counts: [1],
  disk_gb: 20,
  bid_factor: 1,
  ...given,
})

export function runpodSubject(transport: 'graphql' | 'rest', spot = false): Subject {
  return {
    name: `runpod over ${transport}${spot ? ', interruptible' : ''}`,
    open: () => openWorld(transport, spot),
  }
}

async function openWorld(transport: 'graphql' | 'rest', spot: boolean) {
  const runpod = await openRunpod()
  const clock = { now: () => new Date(runpod.now()) }
  const options = runpodOptions({ url: runpod.url, transport, clock })
  const deadline_at = new Date(runpod.now() + 3_600_000).toISOString()
  const offers = await createRunpodProvider(options).offers(AbortSignal.timeout(60_000))
  const offer = offers.find((each) => each.spot === spot)
  if (!offer) throw new Error('there is no such offer')
  const { balance, spend_limit } = runpod.state
  const back: BackEnd = {
    ...runpod.back,
    registry: { server: 'registry.example.com', username: 'desk', password: 'the-password-of-the-registry' },
    fail(call, fault, after) {
      if (call === 'launch' && (fault === 'balance' || fault === 'quota') && transport === 'graphql') {
        if (fault === 'balance') runpod.state.balance = 0.1
        else runpod.state.spend_limit = 0.1
        return true
      }
      // REST v2 has no refusal for a limit of spending.
      if (fault === 'quota') return false
      return runpod.back.fail?.(call, fault, after) ?? false
    },
    calm() {
      Object.assign(runpod.state, { balance, spend_limit })
      runpod.back.calm?.()
    },
    async helper() {
      const name = `berth-${installation.slice(0, 6)}-01jd3m4k5nep7r8r9s0t1v2w3x`
      const helper = registryName({ name, installation })
      runpod.cloud.saveRegistry({ name: helper, username: 'desk', password: 'x' })
      return Promise.resolve(helper)
    },
    end: spot ? { preempted: runpod.outbid } : {},
    hurry: () => (options.call_ms = 500),
    stranger: () => createRunpodProvider({ ...options, api_key: 'rpa_of_nobody' }),
  }
  return {
    provider: () => createRunpodProvider(options),
    request: (attempt_id: string) =>
      requestFor(attempt_id, offer, {
        deadline_at,
        installation,
        image: 'registry.example.com/work:1',
        command: ['sh', '-c', 'true'],
      }),
    secrets: [apiKey],
    pass: runpod.pass,
    patience_ms: 120_000,
    back,
    close: runpod.close,
  }
}
