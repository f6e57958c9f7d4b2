// A whole adapter, as docs/providers.md tells to write one. Its vendor is made up, with an API as tidy as few are, so that nothing
// hides the contract; test/fakes/example.ts plays it, and test/providers/example.test.ts runs the suite on it.
import { ProviderError, type ProviderErrorCode } from '../providers/errors.ts'
import type { Observation, Offer, Provider, Ref } from '../providers/provider.ts'

export type ExampleOptions = Record<'account' | 'installation' | 'url' | 'key', string> & { call_ms: number }

export interface Machine {
  name: string
  labels: Record<string, string>
  state: 'pending' | 'running' | 'exited'
  exit_code: number | null
  reason: Exclude<Observation, { state: 'unseen' }>['reason']
  usd_per_hour: number
  created_at: string
}

const traits = {
  runs_images: true,
  launch_token: true, // a PUT of a name that is there answers with what is there
  inspect_batch: 1_000,
  list_lag_ms: 0,
  boot_s: 30,
  boot_bound_s: 900, // images of several GB
  min_billing_s: 0,
  dead_man_min_s: 0,
  calls_per_s: 10,
  billing: 'billed',
} as const
/** The vendor's own switch is for when Berth itself is gone: later than Berth's deadline. */
const deadMan_ms = 600_000
/** More would be a list without an end. */
const pages_most = 1_000

export function createExampleProvider(options: ExampleOptions): Provider {
  const { account, installation } = options
  async function machines(signal: AbortSignal): Promise<Map<string, Machine>> {
    const all = new Map<string, Machine>()
    for (let page = 0, after: string | null = ''; page < pages_most; page++) {
      const query = new URLSearchParams({ label: `berth_installation=${installation}`, after })
      const answer = await call(options, 'GET', `machines?${query.toString()}`, signal)
      for (const each of answer['items'] as Machine[]) all.set(each.name, each)
      after = answer['next'] as string | null
      if (after === null) return all
    }
    throw failure('unavailable', 'a list without an end')
  }
  return {
    name: 'example',
    account,
    traits,
    async check(signal) {
      const rights = await call(options, 'GET', 'key', signal).catch(() => ({ may: [] }))
      const isGiven = (name: string) => (rights['may'] as string[]).includes(name)
      return ['read', 'create', 'delete'].map((name) => ({
        name,
        ok: isGiven(name),
        detail: isGiven(name) ? 'the key may' : `make a key with the right to ${name}`,
      }))
    },
    async offers(signal) {
      const { shapes } = await call(options, 'GET', 'shapes', signal)
      const fixed = { provider: 'example', account, spot: false, slots: null }
      return (shapes as Omit<Offer, keyof typeof fixed>[]).map((shape) => ({ ...shape, ...fixed }))
    },
    async launch({ name, attempt_id, image, command, offer, berth_url, deadline_at }, secrets, signal) {
      const env = { BERTH_URL: berth_url, BERTH_ATTEMPT_ID: attempt_id, BERTH_TOKEN: secrets.token }
      const labels = { berth_installation: installation, berth_attempt: attempt_id }
      const ends_at = new Date(Date.parse(deadline_at) + deadMan_ms).toISOString()
      const work = { image, command, env, registry: secrets.registry ?? null, restart: 'never' }
      await call(options, 'PUT', `machines/${name}`, signal, { shape: offer.id, labels, ends_at, ...work })
      return { machine: name }
    },
    async inspect(refs, signal) {
      const all = await machines(signal)
      return refs.map((ref) => observationOf(all.get(nameOf(ref))))
    },
    async stop(ref, signal) {
      await call(options, 'DELETE', `machines/${nameOf(ref)}`, signal)
    },
    async *list(signal) {
      for (const { name, labels, usd_per_hour, created_at: since, state } of (
        await machines(signal)
      ).values()) {
        const attempt_id = labels['berth_attempt'] ?? null
        if (state !== 'exited') yield { name, attempt_id, handle: { machine: name }, usd_per_hour, since }
      }
    },
  }
}

const nameOf = ({ handle, request }: Ref) =>
  encodeURIComponent(String(handle ? handle['machine'] : request?.name))
const failure = (code: ProviderErrorCode, detail: string) =>
  new ProviderError(code, { provider: 'example', detail })

function observationOf(machine: Machine | undefined): Observation {
  if (!machine) return { state: 'gone', detail: null }
  const { state, exit_code, reason } = machine
  return { state, exit_code, reason, detail: reason ?? null } as Observation
}

/** What the vendor says, in Berth's words. */
const codes: Record<string, ProviderErrorCode> = {
  out_of_stock: 'capacity',
  quota_exceeded: 'quota',
  no_money: 'balance',
  slow_down: 'throttled',
  bad_key: 'unauthorized',
  invalid: 'rejected',
}

async function call(
  { url, key, call_ms }: ExampleOptions,
  method: 'GET' | 'PUT' | 'DELETE',
  path: string,
  signal: AbortSignal,
  body?: object,
): Promise<Record<string, unknown>> {
  // Never the address's own parameters, nor what came back: it may repeat what was sent.
  const what = `${method} ${path.replace(/[?/].*/, '')}`
  try {
    const response = await fetch(`${url}/${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(call_ms)]),
      redirect: 'error',
    })
    const answer = (await response.json()) as Record<string, unknown>
    const said = String(answer['code'])
    if (response.ok || (method === 'DELETE' && said === 'not_found')) return answer
    if (codes[said]) throw failure(codes[said], what)
  } catch (error) {
    if (error instanceof ProviderError) throw error
  }
  // Nobody knows whether a change took effect.
  throw failure(method === 'GET' ? 'unavailable' : 'unknown_outcome', `${what} was not answered`)
}
