// An account of the fake AWS, and the Batch adapter for the conformance suite.
import { type Subject, requestFor } from '../../providers/conformance/subject.ts'
import { createAwsProvider } from '../../providers/aws/aws.ts'
import type { AwsProviderOptions, AwsShape } from '../../providers/aws/options.ts'
import { accessKeyId, region, secretAccessKey } from '../fakes/aws-wire.ts'
import { installation, openAws } from '../fakes/aws.ts'

export type FakeAws = Awaited<ReturnType<typeof openAws>>

export const gpu: AwsShape = {
  id: 'g5.xlarge',
  queue: 'gpu-on-demand',
  gpu: { model: 'A10G', count: 1, memory_gib: 24, compute_capability: '8.6' },
  cpu: 4,
  memory_gib: 15,
  disk_gib: 100,
  usd_per_hour: 1.006,
}
export const spot: AwsShape = { ...gpu, id: 'g5.xlarge-spot', queue: 'gpu-spot', usd_per_hour: 0.4 }
export const cpu: AwsShape = {
  ...gpu,
  id: 'c7i.large',
  queue: 'cpu',
  gpu: null,
  cpu: 2,
  memory_gib: 3.5,
  usd_per_hour: 0.09,
}

export const registry = {
  server: 'registry.example.com',
  username: 'desk',
  password: 'the-password-of-the-registry',
}
export const registrySecret = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:registry-AbCdEf'

export async function openFakeAws(): Promise<FakeAws> {
  const aws = await openAws(() => Date.now())
  const ready = { state: 'ENABLED', status: 'VALID' }
  const environment = (type: string) => ({
    ...ready,
    type: 'MANAGED',
    computeResources: { type, maxvCpus: 256 },
  })
  aws.state.environments.set('ce-on-demand', environment('EC2')).set('ce-spot', environment('SPOT'))
  aws.state.queues
    .set('gpu-on-demand', { ...ready, environments: ['ce-on-demand'] })
    .set('gpu-spot', { ...ready, environments: ['ce-spot'] })
    .set('cpu', { ...ready, environments: ['ce-on-demand'] })
  return aws
}

export const awsOptions = (
  aws: Pick<FakeAws, 'url' | 'now'>,
  given: Partial<AwsProviderOptions> = {},
): AwsProviderOptions => ({
  account: 'desk',
  installation,
  region,
  credentials: { access_key_id: accessKeyId, secret_access_key: secretAccessKey },
  shapes: [gpu, spot, cpu],
  registry_secrets: { [registry.server]: registrySecret },
  execution_role: 'arn:aws:iam::123456789012:role/ecsTaskExecutionRole',
  clock: { now: () => new Date(aws.now()) },
  endpoint: aws.url,
  ...given,
})

export const awsSubject: Subject = {
  name: 'aws',
  async open() {
    const aws = await openFakeAws()
    const options = awsOptions(aws, { call_ms: 20_000 })
    const [offer] = await createAwsProvider(options).offers(AbortSignal.timeout(60_000))
    if (!offer) throw new Error('no shape')
    return {
      provider: () => createAwsProvider(options),
      request: (attempt_id) =>
        requestFor(attempt_id, offer, {
          deadline_at: new Date(aws.now() + 3_600_000).toISOString(),
          installation,
          image: 'registry.example.com/work:1',
        }),
      secrets: [secretAccessKey],
      pass: aws.pass,
      patience_ms: 300_000,
      back: {
        ...aws.back,
        registry,
        hurry: () => (options.call_ms = 500),
        stranger: () =>
          createAwsProvider({
            ...options,
            credentials: { access_key_id: accessKeyId, secret_access_key: 'of-nobody' },
          }),
      },
      close: aws.close,
    }
  },
}
