// An account of the fake RunPod, and a launch on it.
import { requestFor } from '../../providers/conformance/subject.ts'
import type { LaunchRequest, LaunchSecrets, Offer, Provider } from '../../providers/provider.ts'
import type { RunpodProviderOptions } from '../../providers/runpod/options.ts'
import { createRunpodProvider } from '../../providers/runpod/runpod.ts'
import { openRunpod } from '../fakes/runpod.ts'
import { installation, runpodOptions } from './runpod-subject.ts'

export const attempt_id = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'
export const token = 'the-token-of-the-attempt-0123456789'
const never = new AbortController().signal

export type RunpodAccount = Awaited<ReturnType<typeof openRunpodAccount>>

export async function openRunpodAccount() {
  const runpod = await openRunpod()
  const clock = { now: () => new Date(runpod.now()) }
  const open = (given: Partial<RunpodProviderOptions> = {}): Provider =>
    createRunpodProvider(runpodOptions({ url: runpod.url, clock, ...given }))
  const requestOf = (offer: Offer, given: Partial<LaunchRequest> = {}): LaunchRequest =>
    requestFor(attempt_id, offer, {
      deadline_at: new Date(runpod.now() + 3_600_000).toISOString(),
      installation,
      image: 'registry.example.com/work:1',
      command: ['sh', '-c', 'echo "it\'s $HOME"'],
      ...given,
    })
  return {
    runpod,
    open,
    requestOf,
    /** The first offer that fits. */
    async offer(provider: Provider, fits: (offer: Offer) => boolean = () => true): Promise<Offer> {
      const found = (await provider.offers(never)).find(fits)
      if (!found) throw new Error('there is no such offer')
      return found
    },
    async launch(provider: Provider, request: LaunchRequest, more: Partial<LaunchSecrets> = {}) {
      const handle = await provider.launch(request, { token, ...more }, never)
      return { attempt_id, request, handle }
    },
    async seen(provider: Provider, ref: Parameters<Provider['inspect']>[0][number]) {
      return (await provider.inspect([ref], never))[0]
    },
    async listed(provider: Provider) {
      const found = []
      for await (const each of provider.list(never)) found.push(each)
      return found
    },
  }
}
