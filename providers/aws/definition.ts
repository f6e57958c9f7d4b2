// Job definitions: Batch takes the image and what the container may use from one, so there is one for each combination.
import type { JobDefinition, RegisterJobDefinitionCommandInput } from '@aws-sdk/client-batch'
import { createHash } from 'node:crypto'
import type { LaunchRequest, LaunchSecrets } from '../provider.ts'
import { type Api, pagesOf } from './api.ts'
import { failure } from './errors.ts'
import type { AwsProviderOptions } from './options.ts'

export const tags = {
  installation: 'berth:installation',
  attempt: 'berth:attempt',
  kind: 'berth:kind',
  /** For who lists a job that no row knows of. */
  price: 'berth:usd-per-hour',
  /** Of a definition, the day (UTC) it was registered on. */
  day: 'berth:day',
} as const

/** Of the memory: what parallel loaders of data share, which counts as memory when it is used. */
const sharedMemory = 0.5
/** The most of one page of DescribeJobDefinitions. */
const page_most = 100
const day_ms = 86_400_000

export const prefixOf = (installation: string): string => `berth-${installation.slice(0, 6)}-`

type Container = NonNullable<RegisterJobDefinitionCommandInput['containerProperties']>

/** The same for the same image and resources: its name is a digest of all that is in it. */
export function definitionOf(
  options: AwsProviderOptions,
  request: LaunchRequest,
  { registry }: LaunchSecrets,
): RegisterJobDefinitionCommandInput & { jobDefinitionName: string } {
  const container = containerOf(options, request, registry?.server ?? null)
  const digest = createHash('sha256').update(JSON.stringify(container)).digest('hex').slice(0, 12)
  return {
    jobDefinitionName: `${prefixOf(request.installation)}image-${digest}`,
    type: 'container',
    platformCapabilities: ['EC2'],
    containerProperties: container,
    // Berth alone repeats work: another try is another attempt.
    retryStrategy: { attempts: 1 },
    propagateTags: true,
    tags: { [tags.installation]: request.installation, [tags.day]: dayOf(options.clock.now()) },
  }
}

function containerOf(
  options: AwsProviderOptions,
  { image, cpu, memory_gib, offer }: LaunchRequest,
  server: string | null,
): Container {
  if (image === null) throw failure('rejected', 'AWS Batch runs images, and the request names none')
  const memory_mib = Math.ceil(memory_gib * 1024)
  const secret = server === null ? null : options.registry_secrets?.[server]
  if (secret === undefined)
    throw failure(
      'rejected',
      `AWS Batch takes the password of ${server} from Secrets Manager alone: name the secret in registry_secrets`,
    )
  return {
    image,
    resourceRequirements: [
      // Whole vCPUs on EC2.
      { type: 'VCPU', value: String(Math.max(1, Math.ceil(cpu))) },
      { type: 'MEMORY', value: String(memory_mib) },
      ...(offer.gpu ? [{ type: 'GPU' as const, value: String(offer.gpu.count) }] : []),
    ],
    privileged: false,
    linuxParameters: {
      initProcessEnabled: true,
      sharedMemorySize: Math.max(64, Math.floor(memory_mib * sharedMemory)),
    },
    logConfiguration: { logDriver: 'awslogs' },
    ...(options.user && { user: options.user }),
    ...(options.job_role && { jobRoleArn: options.job_role }),
    ...(options.execution_role && { executionRoleArn: options.execution_role }),
    ...(secret && { repositoryCredentials: { credentialsParameter: secret } }),
  }
}

/** Registers it unless it is there. Two at once only make two revisions of the same. */
export async function ensureDefinition(
  api: Api,
  definition: ReturnType<typeof definitionOf>,
  signal: AbortSignal,
): Promise<void> {
  const { jobDefinitionName } = definition
  const input = { jobDefinitionName, status: 'ACTIVE', maxResults: 1 }
  const { jobDefinitions } = await api.change('DescribeJobDefinitions', signal, (sdk, client, bound) =>
    client.send(new sdk.DescribeJobDefinitionsCommand(input), bound),
  )
  if (jobDefinitions === undefined)
    throw failure('unknown_outcome', 'DescribeJobDefinitions: the answer has no list')
  if (jobDefinitions.length > 0) return
  await api.change('RegisterJobDefinition', signal, (sdk, client, bound) =>
    client.send(new sdk.RegisterJobDefinitionCommand(definition), bound),
  )
}

/** Those of the installation that no active job is of, registered before yesterday: one that is needed again is made again. */
export async function unusedDefinitions(
  api: Api,
  { installation, clock }: AwsProviderOptions,
  used: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<{ name: string; arn: string; since: string | null }[]> {
  const all = await pagesOf<JobDefinition>('DescribeJobDefinitions', async (nextToken) => {
    const input = { status: 'ACTIVE', maxResults: page_most, nextToken }
    const answer = await api.read('DescribeJobDefinitions', signal, (sdk, client, bound) =>
      client.send(new sdk.DescribeJobDefinitionsCommand(input), bound),
    )
    return { items: answer.jobDefinitions, nextToken: answer.nextToken }
  })
  const yesterday = dayOf(new Date(clock.now().getTime() - day_ms))
  return all.flatMap(({ jobDefinitionName: name, jobDefinitionArn: arn, tags: own }) => {
    if (!name?.startsWith(prefixOf(installation)) || own?.[tags.installation] !== installation) return []
    const day = own[tags.day] ?? ''
    if (!arn || used.has(arn) || day >= yesterday) return []
    return [{ name, arn, since: /^\d{4}-\d\d-\d\d$/.test(day) ? `${day}T00:00:00Z` : null }]
  })
}

const dayOf = (at: Date): string => at.toISOString().slice(0, 10)
