// Runs attempts as batch jobs of a Nomad cluster (https://developer.hashicorp.com/nomad/api-docs), with nothing but fetch.
import type { ProviderError } from '../errors.ts'
import type { Check, Found, Observation, Offer, Provider, Ref } from '../provider.ts'
import { call, type Connection, listOf } from './client.ts'
import { type Allocation, type Job, jobOf, observationOf, probeOf } from './job.ts'

export interface NomadProviderOptions extends Connection {
  account: string
  installation: string
  region: string
  /** What jobs may be given; Nomad knows no prices and places by what they ask for. */
  shapes: readonly Pick<Offer, 'id' | 'gpu' | 'cpu' | 'memory_gib' | 'disk_gib' | 'usd_per_hour'>[]
  /** The day that their prices are of. */
  prices_at?: string | null
}

const traits = {
  runs_images: true,
  launch_token: true, // a job id with JobModifyIndex 0 is created once; reads are of the leader
  inspect_batch: 500,
  list_lag_ms: 0,
  boot_s: 10,
  boot_bound_s: 900, // images of several GB
  min_billing_s: 0,
  dead_man_min_s: 0,
  calls_per_s: 50,
  machines: 'own',
  billing: 'modelled',
} as const
const tail_bytes = 64 * 1024

export function createNomadProvider(options: NomadProviderOptions): Provider {
  const { account, namespace, region, installation } = options
  const offerOf = (shape: NomadProviderOptions['shapes'][number], ready: boolean): Offer => ({
    provider: 'nomad',
    account,
    region,
    spot: false,
    slots: null,
    available: ready ? null : 0,
    price: { source: "the account's price of the shape", at: options.prices_at ?? null },
    ...shape,
  })
  const everything = async (
    signal: AbortSignal,
  ): Promise<Map<string, { job: Job; allocation: Allocation | null }>> => {
    const prefix = `berth-${installation.slice(0, 6)}-`
    const jobs = await listOf<Job>(options, `jobs?meta=true&prefix=${prefix}`, signal)
    const filter = encodeURIComponent(`JobID matches "^${prefix}"`)
    const allocations = await listOf<Allocation>(options, `allocations?filter=${filter}`, signal)
    const byJob = new Map(allocations.map((each) => [each.JobID, each]))
    const ours = jobs.filter(({ Meta }) => Meta?.['berth_installation'] === installation)
    return new Map(ours.map((job) => [job.ID, { job, allocation: byJob.get(job.ID) ?? null }]))
  }
  return {
    name: 'nomad',
    account,
    traits,

    async check(signal): Promise<Check[]> {
      const probe = probeOf(namespace)
      const asked = {
        'read-job': () => listOf(options, 'jobs?prefix=berth-', signal),
        'node:read': () => listOf(options, 'nodes', signal),
        // A plan is asked for with the same permission as a job, and changes nothing.
        'submit-job': () => call(options, 'POST', `job/${probe.ID}/plan`, signal, { Job: probe }),
      }
      return Promise.all(Object.entries(asked).map(([name, ask]) => checkOf(name, ask)))
    },

    async offers(signal): Promise<Offer[]> {
      type Node = { Status: string; SchedulingEligibility: string }
      const nodes = await listOf<Node>(options, 'nodes', signal)
      const ready = nodes.some((node) => node.Status === 'ready' && node.SchedulingEligibility === 'eligible')
      return options.shapes.map((shape) => offerOf(shape, ready))
    },

    async launch(request, secrets, signal) {
      const body = { EnforceIndex: true, JobModifyIndex: 0, Job: jobOf(request, secrets, namespace) }
      // "already exists" is our own earlier launch: the name is of this attempt alone.
      await call(options, 'POST', 'jobs', signal, body, ['exists'])
      return { job: request.name }
    },

    async inspect(refs, signal): Promise<Observation[]> {
      if (refs.length === 0) return []
      const all = await everything(signal)
      return refs.map((ref) => observationOf(all.get(jobIdOf(ref))))
    },

    async stop(ref, signal) {
      // Not purged: what it ended with is still told, until Nomad's own collection.
      await call(options, 'DELETE', `job/${jobIdOf(ref)}`, signal, undefined, ['not_found'])
    },

    async *list(signal): AsyncIterable<Found> {
      for (const [name, each] of await everything(signal)) {
        const { state } = observationOf(each)
        if (state === 'pending' || state === 'running') yield foundOf(name, each.job)
      }
    },

    async tail(ref, signal) {
      const allocation = (await everything(signal)).get(jobIdOf(ref))?.allocation
      if (!allocation) return ''
      const path = `client/fs/logs/${allocation.ID}?task=runner&type=stderr&plain=true&origin=end&offset=${tail_bytes}`
      return (await call(options, 'GET', path, signal)).text.slice(-tail_bytes)
    },
  }
}

function foundOf(name: string, { Meta, SubmitTime }: Job): Found {
  const { berth_attempt, berth_usd_per_hour } = Meta ?? {}
  const since = new Date(SubmitTime / 1e6).toISOString() // from nanoseconds
  const usd_per_hour = Number(berth_usd_per_hour)
  return { name, attempt_id: berth_attempt ?? null, handle: { job: name }, usd_per_hour, since }
}

const jobIdOf = ({ handle, request }: Ref): string =>
  encodeURIComponent(String(handle ? handle['job'] : request?.name))

async function checkOf(name: string, ask: () => Promise<unknown>): Promise<Check> {
  try {
    await ask()
    return { name, ok: true, detail: 'the token may' }
  } catch (error) {
    const { code, detail } = error as ProviderError
    const todo =
      code === 'unauthorized' ? `give its policy ${name}` : 'see that the address is right and has a leader'
    return { name, ok: false, detail: `${detail}: ${todo}` }
  }
}
