// The Nomad adapter with its fake: also what `berth provider-test test/support/nomad-subject.ts` is tried on.
import { requestFor, type Subject } from '../../providers/conformance/subject.ts'
import { createNomadProvider, type NomadProviderOptions } from '../../providers/nomad/nomad.ts'
import { nomadToken, openNomad } from '../fakes/nomad.ts'

export { nomadToken, openNomad }

export const nomadOptions = (
  given: Pick<NomadProviderOptions, 'url'> & Partial<NomadProviderOptions>,
): NomadProviderOptions => ({
  account: 'desk',
  installation: '4q7k2mzz',
  token: nomadToken,
  namespace: 'default',
  region: 'dc1',
  shapes: [{ id: 'cpu-2', gpu: null, cpu: 2, memory_gib: 4, disk_gib: 20, usd_per_hour: 0.08 }],
  fetch,
  ...given,
})

export const subject: Subject = {
  name: 'nomad',
  async open() {
    const nomad = await openNomad()
    const options = { ...nomadOptions({ url: nomad.url }), call_ms: 20_000 }
    const registry = {
      server: 'registry.example.com',
      username: 'desk',
      password: 'the-password-of-the-registry',
    }
    const deadline_at = new Date(nomad.now() + 3_600_000).toISOString()
    return {
      provider: () => createNomadProvider(options),
      async request(attempt_id) {
        const [offer] = await createNomadProvider({
          ...options,
          fetch: () => Promise.resolve(Response.json([])),
        }).offers(AbortSignal.timeout(60_000))
        if (!offer) throw new Error('no shape')
        const { installation } = options
        return requestFor(attempt_id, offer, {
          deadline_at,
          installation,
          image: 'registry.example.com/work:1',
        })
      },
      secrets: [nomadToken],
      pass: nomad.pass,
      patience_ms: 60_000,
      back: {
        ...nomad.back,
        registry,
        hurry: () => (options.call_ms = 500),
        stranger: () => createNomadProvider({ ...options, token: 'wrong' }),
      },
      close: nomad.close,
    }
  },
}
