// What the account's shapes are worth now: whether their queues take jobs, and on machines of which market.
import type { ComputeEnvironmentDetail, JobQueueDetail } from '@aws-sdk/client-batch'
import type { Offer } from '../provider.ts'
import { type Api, pagesOf } from './api.ts'
import type { AwsProviderOptions, AwsShape } from './options.ts'

/** A queue with its compute environments, as far as they are there. */
export interface Queue {
  queue: JobQueueDetail
  environments: ComputeEnvironmentDetail[]
}

/** Names and ARNs of one call. */
const named_most = 100

/** By what the settings call them, name or ARN. */
export async function readQueues(
  api: Api,
  shapes: readonly AwsShape[],
  signal: AbortSignal,
): Promise<Map<string, Queue>> {
  const wanted = [...new Set(shapes.map(({ queue }) => queue))].slice(0, named_most)
  const queues = await pagesOf<JobQueueDetail>('DescribeJobQueues', async (nextToken) => {
    const answer = await api.read('DescribeJobQueues', signal, (sdk, client, bound) =>
      client.send(new sdk.DescribeJobQueuesCommand({ jobQueues: wanted, nextToken }), bound),
    )
    return { items: answer.jobQueues, nextToken: answer.nextToken }
  })
  const named = queues.flatMap(({ computeEnvironmentOrder = [] }) =>
    computeEnvironmentOrder.flatMap(({ computeEnvironment }) => computeEnvironment ?? []),
  )
  // Asked for none by name, Batch would tell of all.
  const environments = named.length > 0 ? await environmentsOf(api, [...new Set(named)], signal) : []
  return new Map(
    wanted.flatMap((name) => {
      const queue = queues.find(
        ({ jobQueueName, jobQueueArn }) => name === jobQueueName || name === jobQueueArn,
      )
      if (!queue) return []
      const own = (queue.computeEnvironmentOrder ?? []).flatMap(
        ({ computeEnvironment }) =>
          environments.find(
            ({ computeEnvironmentArn, computeEnvironmentName }) =>
              computeEnvironment === computeEnvironmentArn || computeEnvironment === computeEnvironmentName,
          ) ?? [],
      )
      return [[name, { queue, environments: own }]]
    }),
  )
}

const environmentsOf = (api: Api, names: string[], signal: AbortSignal) =>
  pagesOf<ComputeEnvironmentDetail>('DescribeComputeEnvironments', async (nextToken) => {
    const input = { computeEnvironments: names.slice(0, named_most), nextToken }
    const answer = await api.read('DescribeComputeEnvironments', signal, (sdk, client, bound) =>
      client.send(new sdk.DescribeComputeEnvironmentsCommand(input), bound),
    )
    return { items: answer.computeEnvironments, nextToken: answer.nextToken }
  })

export function offersOf(
  { account, region, shapes, prices_at = null }: AwsProviderOptions,
  queues: Map<string, Queue>,
): Offer[] {
  return shapes.map(({ id, queue: name, ...shape }) => {
    const queue = queues.get(name)
    return {
      id,
      provider: 'aws',
      account,
      region,
      // One that may start on a machine that can be taken back is one that can be taken back.
      spot: queue?.environments.some((each) => each.computeResources?.type === 'SPOT') ?? false,
      ...shape,
      available: queue && hindranceOf(queue, shape) === null ? null : 0,
      slots: null,
      price: { source: "the account's price of the shape", at: prices_at },
    }
  })
}

/** Why no job of a shape would run on a queue; null: one may. Batch tells nothing of the stock of machines. */
export function hindranceOf({ queue, environments }: Queue, { cpu }: Pick<Offer, 'cpu'>): string | null {
  const { state, status, statusReason } = queue
  if (state !== 'ENABLED') return 'the queue is disabled: enable it'
  if (status !== 'VALID') return `the queue is ${status}${statusReason ? ` (${statusReason})` : ''}`
  const ready = environments.filter((each) => each.state === 'ENABLED' && each.status === 'VALID')
  if (ready.length === 0) return 'none of its compute environments is enabled and valid'
  const onEc2 = ready.filter(({ type, computeResources: has }) =>
    type === 'UNMANAGED' ? true : has?.type === 'EC2' || has?.type === 'SPOT',
  )
  if (onEc2.length === 0) return 'its compute environments are not of EC2, which GPUs need'
  const most = Math.max(
    ...onEc2.map(({ computeResources: has }) => has?.maxvCpus ?? Number.POSITIVE_INFINITY),
  )
  return most < cpu ? `its compute environments have at most ${most} vCPUs, and the shape ${cpu}` : null
}
