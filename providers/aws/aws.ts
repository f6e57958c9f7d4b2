// Runs attempts as jobs of AWS Batch, on queues that the account's owner has made: https://docs.aws.amazon.com/batch/
import type { JobDetail } from '@aws-sdk/client-batch'
import { deadManSeconds } from '../dead-man.ts'
import type { Found, Handle, LaunchRequest, LaunchSecrets, Observation, Provider, Ref } from '../provider.ts'
import { type Api, openApi } from './api.ts'
import { checksOf } from './check.ts'
import { definitionOf, ensureDefinition, prefixOf, tags, unusedDefinitions } from './definition.ts'
import { failure } from './errors.ts'
import { activeJobs, described_most, describeJobs, isActive, jobsNamed } from './jobs.ts'
import { observationOf } from './observe.ts'
import { offersOf, readQueues } from './offers.ts'
import type { AwsProviderOptions } from './options.ts'
import { tailOf } from './tail.ts'

const traits = {
  runs_images: true,
  launch_token: false, // SubmitJob has none: a launch looks for its name first
  inspect_batch: described_most,
  list_lag_ms: 30_000, // not documented; jobs were seen to be missing from ListJobs for seconds
  boot_s: 240, // an instance, its agent, and the image
  boot_bound_s: 1_800,
  min_billing_s: 60,
  dead_man_min_s: 60,
  calls_per_s: 20, // SubmitJob has 50 a second for the account, which others use too
  billing: 'modelled', // AWS bills instances; a job's share of one is the account's price of its shape
} as const

/** AWS counts no timeout below it. */
const timeout_least_s = 60
/** Look-ups by name in one inspect: those whose launch was not answered, which are few. */
const at_once = 5

export function createAwsProvider(options: AwsProviderOptions): Provider {
  const api = openApi(options)
  const queues = [...new Set(options.shapes.map(({ queue }) => queue))]
  return {
    name: 'aws',
    account: options.account,
    traits,
    check: (signal) => checksOf(api, options, signal),
    offers: async (signal) => offersOf(options, await readQueues(api, options.shapes, signal)),

    async launch(request, secrets, signal) {
      const queue = options.shapes.find(({ id }) => id === request.offer.id)?.queue
      if (queue === undefined)
        throw failure('rejected', 'the account has no shape of that name: ask for the offers again')
      return (
        (await adopted(api, queue, request, signal)) ??
        (await submit(api, options, queue, request, secrets, signal))
      )
    },

    async inspect(refs, signal) {
      const ids = await idsOf(api, queues, refs, signal)
      const jobs = await describeJobs(api, [...new Set(ids.flatMap((id) => id ?? []))], signal)
      return ids.map((id): Observation => observationOf(id === null ? undefined : jobs.get(id)))
    },

    async stop(ref, signal) {
      const { handle } = ref
      if (typeof handle?.['definition'] === 'string') return deregister(api, handle['definition'], signal)
      const id = handle?.['job_id']
      // By name too: a launch whose answer was lost may have left a second one.
      const name = nameOf(ref)
      const ids = new Set(typeof id === 'string' ? [id] : [])
      for (const queue of name === null ? [] : queues)
        for (const job of await jobsNamed(api, queue, name ?? '', signal))
          if (job.jobId && isActive(job)) ids.add(job.jobId)
      for (const each of ids) await terminate(api, each, 'stopped by Berth', signal)
    },

    async *list(signal): AsyncIterable<Found> {
      const used = new Set<string>()
      for (const queue of queues) {
        const active = await activeJobs(api, queue, signal)
        for (const { jobDefinition } of active) if (jobDefinition) used.add(jobDefinition)
        const ours = active.filter(({ jobName }) => jobName?.startsWith(prefixOf(options.installation)))
        const jobs = await describeJobs(
          api,
          ours.flatMap(({ jobId }) => jobId ?? []),
          signal,
        )
        for (const job of jobs.values())
          if (isActive(job) && job.tags?.[tags.installation] === options.installation) yield foundOf(job)
      }
      for (const { name, arn, since } of await unusedDefinitions(api, options, used, signal))
        yield { name, attempt_id: null, handle: { definition: arn }, usd_per_hour: 0, since }
    },

    tail: async (ref, signal) => {
      const [id] = await idsOf(api, queues, [ref], signal)
      if (!id) return ''
      const job = (await describeJobs(api, [id], signal)).get(id)
      const stream = job?.container?.logStreamName
      return stream ? tailOf(api, stream, signal) : ''
    },
  }
}

/** The attempt's job that is there already: the oldest, should there be two; the others end. */
async function adopted(
  api: Api,
  queue: string,
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<Handle | null> {
  // Not known to have started nothing: an earlier launch may have.
  const found = await jobsNamed(api, queue, request.name, signal).catch((error: unknown) => {
    throw lostLaunch(error)
  })
  const [first, ...doubles] = found
  for (const { jobId, ...job } of doubles)
    if (jobId && isActive(job)) await terminate(api, jobId, 'a second job of one attempt', signal)
  return first?.jobId ? handleOf(first.jobId, request.name) : null
}

function lostLaunch(error: unknown): unknown {
  const { code, detail } = error as { code?: string; detail?: string }
  return code === 'unavailable' ? failure('unknown_outcome', detail ?? '') : error
}

async function submit(
  api: Api,
  options: AwsProviderOptions,
  queue: string,
  request: LaunchRequest,
  secrets: LaunchSecrets,
  signal: AbortSignal,
): Promise<Handle> {
  const definition = definitionOf(options, request, secrets)
  await ensureDefinition(api, definition, signal)
  const timeout_s = Math.max(timeout_least_s, deadManSeconds(request, options.clock.now()))
  const input = {
    jobName: request.name,
    jobQueue: queue,
    jobDefinition: definition.jobDefinitionName,
    containerOverrides: {
      // Batch cannot replace an image's ENTRYPOINT: it is given these as arguments.
      ...(request.command && { command: [...request.command] }),
      environment: environmentOf(request, secrets),
    },
    retryStrategy: { attempts: 1 },
    timeout: { attemptDurationSeconds: timeout_s },
    propagateTags: true,
    tags: {
      [tags.installation]: request.installation,
      [tags.attempt]: request.attempt_id,
      [tags.kind]: request.kind,
      [tags.price]: String(request.offer.usd_per_hour),
    },
  }
  const { jobId } = await api.change('SubmitJob', signal, (sdk, client, bound) =>
    client.send(new sdk.SubmitJobCommand(input), bound),
  )
  if (!jobId) throw failure('unknown_outcome', 'SubmitJob: the answer has no id')
  return handleOf(jobId, request.name)
}

function environmentOf(request: LaunchRequest, { token }: LaunchSecrets) {
  const given = {
    BERTH_URL: request.berth_url,
    BERTH_ATTEMPT_ID: request.attempt_id,
    BERTH_TOKEN: token,
    // Images made for GPUs ask for all of a machine by themselves.
    ...(request.offer.gpu ? {} : { NVIDIA_VISIBLE_DEVICES: 'void' }),
  }
  return Object.entries(given).map(([name, value]) => ({ name, value }))
}

/** With the name, so that who knows nothing else of it can find what is left of it. */
const handleOf = (job_id: string, name: string): Handle => ({ job_id, name })

const nameOf = ({ handle, request }: Ref): string | null => {
  const name = request?.name ?? handle?.['name']
  return typeof name === 'string' ? name : null
}

/** The id of each ref's job; by its name where there is no handle, and null where there is no such job. */
async function idsOf(
  api: Api,
  queues: readonly string[],
  refs: readonly Ref[],
  signal: AbortSignal,
): Promise<(string | null)[]> {
  const ids: (string | null)[] = refs.map(({ handle }) =>
    typeof handle?.['job_id'] === 'string' ? handle['job_id'] : null,
  )
  const unknown = refs.flatMap((ref, index) => {
    const name = ids[index] === null ? nameOf(ref) : null
    return name === null ? [] : [{ index, name }]
  })
  for (let at = 0; at < unknown.length; at += at_once)
    await Promise.all(
      unknown.slice(at, at + at_once).map(async ({ index, name }) => {
        for (const queue of queues) {
          const [oldest] = await jobsNamed(api, queue, name, signal)
          if (oldest?.jobId) ids[index] ??= oldest.jobId
        }
      }),
    )
  return ids
}

async function terminate(api: Api, jobId: string, reason: string, signal: AbortSignal): Promise<void> {
  // It ends what waits and what runs, and is no error for what has ended.
  await api
    .change('TerminateJob', signal, (sdk, client, bound) =>
      client.send(new sdk.TerminateJobCommand({ jobId, reason }), bound),
    )
    .catch(ignoreGone)
}

async function deregister(api: Api, jobDefinition: string, signal: AbortSignal): Promise<void> {
  await api
    .change('DeregisterJobDefinition', signal, (sdk, client, bound) =>
      client.send(new sdk.DeregisterJobDefinitionCommand({ jobDefinition }), bound),
    )
    .catch(ignoreGone)
}

function ignoreGone(error: unknown): void {
  if ((error as { code?: string }).code !== 'not_found') throw error
}

function foundOf({ jobName = '', jobId = '', createdAt, tags: own = {} }: JobDetail): Found {
  return {
    name: jobName,
    attempt_id: own[tags.attempt] ?? null,
    handle: handleOf(jobId, jobName),
    usd_per_hour: Number(own[tags.price] ?? 0),
    since: createdAt === undefined ? null : new Date(createdAt).toISOString(),
  }
}
