// Whether the account can do what the adapter needs, asked without starting anything.
import type { ProviderError } from '../errors.ts'
import type { Check } from '../provider.ts'
import type { Api } from './api.ts'
import { activeJobs } from './jobs.ts'
import { hindranceOf, readQueues } from './offers.ts'
import type { AwsProviderOptions } from './options.ts'
import { tailOf } from './tail.ts'

/** None has this name: what is asked with it is refused for that, and not for a missing permission. */
const nowhere = 'berth-check-of-permissions'

export async function checksOf(api: Api, options: AwsProviderOptions, signal: AbortSignal): Promise<Check[]> {
  const queues = await checkOf('queues', () => queuesOf(api, options, signal))
  // With credentials that are not taken every other one would say the same.
  if (queues.some(({ ok }) => !ok)) return queues
  const first = options.shapes[0]?.queue ?? ''
  const probes: [name: string, ask: () => Promise<unknown>][] = [
    ['batch:ListJobs', () => activeJobs(api, first, signal)],
    ['batch:DescribeJobs', () => described(api, signal)],
    ['batch:DescribeJobDefinitions', () => definitions(api, signal)],
    ['batch:RegisterJobDefinition', () => refused(register(api, signal))],
    ['batch:SubmitJob', () => refused(submit(api, first, signal))],
    ['batch:TerminateJob', () => refused(terminate(api, signal))],
    ['logs:GetLogEvents', () => tailOf(api, nowhere, signal)],
  ]
  const asked = await Promise.all(
    probes.map(([name, ask]) => checkOf(name, async () => [await ask().then(() => good('allowed'))])),
  )
  return [...queues, ...asked.flat()]
}

async function queuesOf(api: Api, options: AwsProviderOptions, signal: AbortSignal) {
  const queues = await readQueues(api, options.shapes, signal)
  const said = options.shapes.flatMap((shape) => {
    const queue = queues.get(shape.queue)
    const wrong = queue
      ? hindranceOf(queue, shape)
      : `there is no queue ${shape.queue} in ${options.region}: make it, or name another`
    return wrong === null ? [] : [bad(`${shape.id}: ${wrong}`)]
  })
  return said.length > 0 ? said : [good(`${queues.size} with ${options.shapes.length} shapes`)]
}

const described = (api: Api, signal: AbortSignal) =>
  api.read('DescribeJobs', signal, (sdk, client, bound) =>
    client.send(new sdk.DescribeJobsCommand({ jobs: [nowhere] }), bound),
  )

const definitions = (api: Api, signal: AbortSignal) =>
  api.read('DescribeJobDefinitions', signal, (sdk, client, bound) =>
    client.send(new sdk.DescribeJobDefinitionsCommand({ jobDefinitionName: nowhere, maxResults: 1 }), bound),
  )

/** Without an image nothing is registered. */
const register = (api: Api, signal: AbortSignal) =>
  api.read('RegisterJobDefinition', signal, (sdk, client, bound) =>
    client.send(
      new sdk.RegisterJobDefinitionCommand({ jobDefinitionName: nowhere, type: 'container' }),
      bound,
    ),
  )

const submit = (api: Api, jobQueue: string, signal: AbortSignal) =>
  api.read('SubmitJob', signal, (sdk, client, bound) => {
    const input = { jobName: nowhere, jobQueue, jobDefinition: `${nowhere}:1` }
    return client.send(new sdk.SubmitJobCommand(input), bound)
  })

const terminate = (api: Api, signal: AbortSignal) =>
  api.read('TerminateJob', signal, (sdk, client, bound) =>
    client.send(new sdk.TerminateJobCommand({ jobId: nowhere, reason: nowhere }), bound),
  )

/** To be refused for what was asked is to be allowed to ask. */
async function refused(work: Promise<unknown>): Promise<void> {
  await work.catch((error: ProviderError) => {
    if (error.code !== 'rejected' && error.code !== 'not_found') throw error
  })
}

const good = (detail: string) => ({ ok: true, detail })
const bad = (detail: string) => ({ ok: false, detail })

async function checkOf(
  name: string,
  ask: () => Promise<{ ok: boolean; detail: string }[]>,
): Promise<Check[]> {
  try {
    return (await ask()).map((said) => ({ name, ...said }))
  } catch (error) {
    const { code, detail } = error as ProviderError
    const todo: Partial<Record<typeof code, string>> = {
      unauthorized: `see that the key is right, the clock too, and give it ${name === 'queues' ? 'the policy of infra/aws/policy.json' : name}`,
      throttled: 'ask again in a minute',
      unavailable: 'see that this server reaches amazonaws.com, and the region',
    }
    return [{ name, ok: false, detail: `${detail}: ${todo[code] ?? 'see what AWS says of it'}` }]
  }
}
