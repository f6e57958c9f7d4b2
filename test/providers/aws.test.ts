// The AWS Batch adapter: the suite, and what the suite does not ask.
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createAwsProvider } from '../../providers/aws/aws.ts'
import { table } from '../../providers/aws/errors.ts'
import type { AwsProviderOptions } from '../../providers/aws/options.ts'
import { runConformance } from '../../providers/conformance/run.ts'
import { requestFor } from '../../providers/conformance/subject.ts'
import type { ProviderError } from '../../providers/errors.ts'
import type { Found, LaunchRequest, Provider } from '../../providers/provider.ts'
import { exception } from '../fakes/aws-wire.ts'
import { installation } from '../fakes/aws.ts'
import {
  awsOptions,
  awsSubject,
  cpu,
  type FakeAws,
  gpu,
  openFakeAws,
  registry,
  registrySecret,
  spot,
} from '../support/aws-subject.ts'

const signal = new AbortController().signal
const attempt_id = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'
const secrets = { token: 'the-token-of-the-runner' }

let aws: FakeAws
let provider: Provider

beforeEach(async () => {
  aws = await openFakeAws()
  provider = open()
})

afterEach(() => aws.close())

const open = (given: Partial<AwsProviderOptions> = {}) => createAwsProvider(awsOptions(aws, given))

async function requestOf(
  shape = gpu.id,
  given: Partial<LaunchRequest> = {},
  id = attempt_id,
): Promise<LaunchRequest> {
  const offer = (await provider.offers(signal)).find((each) => each.id === shape)
  if (!offer) throw new Error(`no offer ${shape}`)
  const deadline_at = new Date(aws.now() + 3_600_000).toISOString()
  return requestFor(id, offer, { deadline_at, installation, image: 'work:1', ...given })
}

async function launch(given: Partial<LaunchRequest> = {}) {
  const request = await requestOf(gpu.id, given)
  return { attempt_id, request, handle: await provider.launch(request, secrets, signal) }
}

async function failureOf(work: Promise<unknown>): Promise<ProviderError> {
  return work.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => error as ProviderError,
  )
}

async function listed(by = provider): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of by.list(signal)) found.push(each)
  return found
}

const bodiesOf = (action: string) =>
  aws.state.asked.flatMap((asked) => (asked.action === action ? [asked.body] : []))

test('the AWS adapter keeps every promise that Batch lets it keep', { timeout: 300_000 }, async () => {
  const report = await runConformance(awsSubject, { signal, log: () => undefined })
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  // Without stock or money Batch accepts a job, and lets it wait; a pull that fails ends it.
  expect(report.cases.flatMap(({ name, outcome }) => (outcome === 'skipped' ? [name] : []))).toEqual([
    'devices are parts of offers',
    'launched by several at once, an attempt is one thing',
    'waiting is told with its reason: image',
    'launch answered by capacity: capacity',
    'launch answered by balance: balance',
  ])
})

describe('offers', () => {
  test('are the shapes of the account, of the market that their queue buys from', async () => {
    const [first, second, third] = await provider.offers(signal)
    expect(first).toEqual({
      id: 'g5.xlarge',
      provider: 'aws',
      account: 'desk',
      region: 'us-east-1',
      spot: false,
      usd_per_hour: 1.006,
      gpu: { model: 'A10G', count: 1, memory_gib: 24, compute_capability: '8.6' },
      cpu: 4,
      memory_gib: 15,
      disk_gib: 100,
      available: null,
      slots: null,
      price: { source: "the account's price of the shape", at: null },
    })
    expect([second?.spot, third?.gpu]).toEqual([true, null])
    const [dated] = await open({ prices_at: '2026-02-20' }).offers(signal)
    expect(dated?.price?.at).toBe('2026-02-20')
  })

  test.each([
    ['a queue that is not there', () => aws.state.queues.delete('gpu-on-demand'), 'there is no queue'],
    ['a disabled queue', () => set('queues', 'gpu-on-demand', { state: 'DISABLED' }), 'enable it'],
    [
      'a queue that is being deleted',
      () => set('queues', 'gpu-on-demand', { status: 'DELETING', statusReason: 'by its owner' }),
      'DELETING (by its owner)',
    ],
    [
      'a disabled environment',
      () => set('environments', 'ce-on-demand', { state: 'DISABLED' }),
      'none of its',
    ],
    [
      'an environment of Fargate',
      () => set('environments', 'ce-on-demand', { computeResources: { type: 'FARGATE', maxvCpus: 16 } }),
      'not of EC2',
    ],
    [
      'an environment that is too small',
      () => set('environments', 'ce-on-demand', { computeResources: { type: 'EC2', maxvCpus: 2 } }),
      'at most 2 vCPUs, and the shape 4',
    ],
  ])('%s has nothing to offer, and the check says why', async (_, change, said) => {
    change()
    const offers = await provider.offers(signal)
    expect(offers.find(({ id }) => id === gpu.id)?.available).toBe(0)
    expect(offers.find(({ id }) => id === spot.id)?.available).toBe(null)
    const checks = await provider.check(signal)
    expect(checks[0]).toMatchObject({ name: 'queues', ok: false })
    expect(checks[0]?.detail).toContain(said)
  })

  function set(kind: 'queues' | 'environments', name: string, given: object) {
    Object.assign(aws.state[kind].get(name) ?? {}, given)
  }
})

describe('a launch', () => {
  test('asks for the resources, one try and a time, and keeps the token out of the definition', async () => {
    await launch({ cpu: 3.5, memory_gib: 12, command: ['sh', '-c', 'exec run'] })
    expect(bodiesOf('RegisterJobDefinition')).toMatchObject([
      {
        platformCapabilities: ['EC2'],
        retryStrategy: { attempts: 1 },
        containerProperties: {
          image: 'work:1',
          privileged: false,
          resourceRequirements: [
            { type: 'VCPU', value: '4' },
            { type: 'MEMORY', value: '12288' },
            { type: 'GPU', value: '1' },
          ],
          linuxParameters: { initProcessEnabled: true, sharedMemorySize: 6_144 },
        },
      },
    ])
    const [body] = bodiesOf('SubmitJob')
    expect(body).toMatchObject({
      jobName: 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x',
      jobQueue: 'gpu-on-demand',
      containerOverrides: { command: ['sh', '-c', 'exec run'] },
      retryStrategy: { attempts: 1 },
      propagateTags: true,
      tags: {
        'berth:installation': installation,
        'berth:attempt': attempt_id,
        'berth:usd-per-hour': '1.006',
      },
    })
    expect(JSON.stringify(bodiesOf('RegisterJobDefinition'))).not.toContain(secrets.token)
  })

  test('without a GPU sees none of the machine’s', async () => {
    await provider.launch(await requestOf(cpu.id), secrets, signal)
    const environment = aws.of(attempt_id)[0]?.environment
    expect(environment).toContainEqual({ name: 'NVIDIA_VISIBLE_DEVICES', value: 'void' })
  })

  test('makes one definition for each image and resources', async () => {
    const launches: [string, Partial<LaunchRequest>][] = [
      ['att_01jd3m4k5nep7r8r9s0t1v2w31', {}],
      ['att_01jd3m4k5nep7r8r9s0t1v2w32', {}],
      ['att_01jd3m4k5nep7r8r9s0t1v2w33', { image: 'work:2' }],
      ['att_01jd3m4k5nep7r8r9s0t1v2w34', { memory_gib: 2 }],
    ]
    for (const [id, given] of launches)
      await provider.launch(await requestOf(gpu.id, given, id), secrets, signal)
    expect(new Set(aws.state.definitions.map(({ name }) => name)).size).toBe(3)
    expect(aws.state.definitions).toHaveLength(3)
  })

  test('of an image of a registry with a password names its secret, and is refused without one', async () => {
    const request = await requestOf()
    await provider.launch(request, { ...secrets, registry }, signal)
    expect(bodiesOf('RegisterJobDefinition')[0]).toMatchObject({
      containerProperties: { repositoryCredentials: { credentialsParameter: registrySecret } },
    })
    expect(JSON.stringify(aws.state.asked)).not.toContain(registry.password)
    const other = open({ registry_secrets: {} })
    const id = 'att_01jd3m4k5nep7r8r9s0t1v2w31'
    const error = await failureOf(
      other.launch(await requestOf(gpu.id, {}, id), { ...secrets, registry }, signal),
    )
    expect(error).toMatchObject({ code: 'rejected' })
    expect(error.detail).toContain('name the secret in registry_secrets')
    expect(error.message).not.toContain(registry.password)
  })

  test('of a shape that the account has no more is refused before anything is asked', async () => {
    const request = await requestOf()
    const before = aws.wire.count()
    const error = await failureOf(open({ shapes: [cpu] }).launch(request, secrets, signal))
    expect([error.code, aws.wire.count() - before]).toEqual(['rejected', 0])
  })

  test('is sent once, whatever comes back', async () => {
    const request = await requestOf()
    aws.wire.spoil(({ path }) => path === '/v1/submitjob', 'server_error')
    const before = aws.wire.count()
    expect(await failureOf(provider.launch(request, secrets, signal))).toMatchObject({
      code: 'unknown_outcome',
    })
    // By name, the definition, its registering, and the job.
    expect(aws.wire.count() - before).toBe(4)
  })

  test('that finds two of its jobs keeps the older and ends the other', async () => {
    const first = await launch()
    const [job] = aws.of(attempt_id)
    if (!job) throw new Error('no job')
    await aws.pass(5_000)
    aws.state.jobs.set('another', { ...job, jobId: 'another', created_ms: aws.now() })
    expect((await provider.launch(first.request, secrets, signal))['job_id']).toBe(job.jobId)
    expect(aws.state.jobs.get('another')?.end).toMatchObject({ said: 'a second job of one attempt' })
    expect(job.end).toBeNull()
  })
})

describe('what is seen of a job', () => {
  test.each([
    ['CannotPullContainerError: Error response from daemon: manifest unknown', 'image'],
    ['CannotPullECRContainerError: AccessDeniedException', 'image'],
    ['OutOfMemoryError: Container killed due to memory usage', 'out_of_memory'],
    ['DockerTimeoutError: Could not transition to started', null],
  ])('that failed with %s', async (container, reason) => {
    const ref = await launch()
    const said = 'Task failed to start'
    await aws.endAs({ status: 'FAILED', said, container })(attempt_id)
    expect(await provider.inspect([ref], signal)).toEqual([
      { state: 'exited', exit_code: null, detail: `${said}; ${container}`, reason },
    ])
  })

  test('that runs longer than its time is ended by Batch, and says so', async () => {
    const ref = await launch()
    await aws.pass(6_000_000)
    expect(await provider.inspect([ref], signal)).toMatchObject([{ state: 'exited', reason: 'deadline' }])
  })

  test('that waits and is stopped has ended at once, and has no code', async () => {
    await aws.back.hinder?.capacity?.(attempt_id)
    const ref = await launch()
    await aws.pass(10_000)
    expect(await provider.inspect([ref], signal)).toMatchObject([{ state: 'pending', reason: 'capacity' }])
    await provider.stop(ref, signal)
    expect(await provider.inspect([ref], signal)).toMatchObject([
      { state: 'exited', exit_code: null, detail: 'stopped by Berth' },
    ])
  })

  test('whose name another account’s job has in capitals is not that one', async () => {
    const request = await requestOf()
    const jobName = request.name.toUpperCase()
    aws.state.jobs.set('theirs', {
      jobId: 'theirs',
      jobName,
      queue: 'gpu-on-demand',
      definition: '',
      tags: {},
      environment: [],
      created_ms: aws.now(),
      timeout_s: 60,
      waits: null,
      end: null,
      stopped_ms: null,
      stop_reason: '',
      log: [],
    })
    expect(await provider.inspect([{ attempt_id, handle: null, request }], signal)).toEqual([
      { state: 'gone', detail: null },
    ])
  })
})

describe('definitions', () => {
  test('that nobody has used since yesterday are listed, and taken away', async () => {
    await launch()
    expect((await listed()).map(({ attempt_id: of }) => of)).toEqual([attempt_id])
    await aws.pass(3 * 86_400_000)
    const [helper] = await listed()
    expect(helper).toMatchObject({ attempt_id: null, usd_per_hour: 0, since: '2026-01-01T00:00:00Z' })
    if (!helper) throw new Error('no helper')
    await provider.stop({ attempt_id, handle: helper.handle, request: null }, signal)
    expect(await listed()).toEqual([])
    // Needed again, it is made again.
    await provider.launch(await requestOf(gpu.id, {}, 'att_01jd3m4k5nep7r8r9s0t1v2w31'), secrets, signal)
    expect(aws.state.definitions.map(({ status }) => status)).toEqual(['INACTIVE', 'ACTIVE'])
  })

  test('of a job that is not over are not listed, however old', async () => {
    await launch({ deadline_at: new Date(aws.now() + 30 * 86_400_000).toISOString() })
    await aws.pass(3 * 86_400_000)
    expect((await listed()).map(({ attempt_id: of }) => of)).toEqual([attempt_id])
  })
})

describe('errors', () => {
  /** As AWS sends them: one body for each row of the adapter's table. */
  const recorded: readonly [name: string, message: string, status: number][] = [
    ['ClientException', 'Number of job definitions exceeds the limit', 400],
    ['ClientException', 'Too Many Requests', 400],
    ['ClientException', 'Job queue gpu does not exist', 400],
    ['ValidationException', '1 validation error detected', 400],
    ['ValidationError', 'The input fails to satisfy the constraints', 400],
    ['SerializationException', 'Unexpected token', 400],
    ['InvalidParameterException', 'logStreamName', 400],
    ['ResourceNotFoundException', 'The specified log stream does not exist.', 400],
    ['TooManyRequestsException', 'Too Many Requests', 429],
    ['ThrottlingException', 'Rate exceeded', 400],
    ['Throttling', 'Rate exceeded', 400],
    ['RequestLimitExceeded', 'Request limit exceeded.', 503],
    ['AccessDeniedException', 'User: arn:aws:iam::123456789012:user/x is not authorized', 403],
    ['AccessDenied', 'Access denied', 403],
    ['UnrecognizedClientException', 'The security token included in the request is invalid.', 403],
    ['InvalidClientTokenId', 'The security token included in the request is invalid', 403],
    ['InvalidSignatureException', 'Signature expired', 403],
    ['SignatureDoesNotMatch', 'The request signature does not match', 403],
    ['IncompleteSignature', 'Authorization header requires', 400],
    ['MissingAuthenticationToken', 'Request is missing Authentication Token', 403],
    ['MissingAuthenticationTokenException', 'Missing Authentication Token', 403],
    ['ExpiredTokenException', 'The security token included in the request is expired', 403],
    ['ExpiredToken', 'The provided token has expired.', 400],
    ['RequestExpired', 'Request has expired.', 400],
    ['OptInRequired', 'You are not subscribed to this service', 403],
  ]
  // The last one is the SDK's own.
  const rows = table.slice(0, -1).map(([name, said, code], index) => ({ name, said, code, index }))

  test.each(rows)('$name is $code', async ({ name, said, code, index }) => {
    const [recordedName, message, status] = recorded[index] ?? ['', '', 0]
    expect([recordedName, said?.test(message) ?? true]).toEqual([name, true])
    aws.state.answer = exception(name, message, status)
    const error = await failureOf(provider.offers(signal))
    expect(error).toMatchObject({ name: 'ProviderError', provider: 'aws', code })
    expect(error.detail).toBe(`DescribeJobQueues: ${name}`)
  })

  test('what is not known is loss of sight for a read, and an unknown outcome for a change', async () => {
    const request = await requestOf()
    aws.state.answer = exception('SomethingNewException', 'entirely', 418)
    expect(await failureOf(provider.offers(signal))).toMatchObject({ code: 'unavailable' })
    expect(await failureOf(provider.launch(request, secrets, signal))).toMatchObject({
      code: 'unknown_outcome',
    })
  })

  test('without credentials anywhere it says so', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE', 'AWS_ROLE_ARN'])
      vi.stubEnv(name, undefined)
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/nonexistent')
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
    onTestFinished(() => void vi.unstubAllEnvs())
    const bare = open({ credentials: null })
    const [check] = await bare.check(signal)
    expect(check).toMatchObject({ name: 'queues', ok: false })
    expect(check?.detail).toContain('CredentialsProviderError: see that the key is right')
  })
})

describe('signatures', () => {
  const said = async (given: Partial<AwsProviderOptions>) =>
    (await failureOf(open(given).offers(signal))).detail

  test('of a wrong key, another region or a clock that is off are refused', async () => {
    const credentials = awsOptions(aws).credentials
    if (!credentials) throw new Error('no credentials')
    expect(await said({ credentials: { ...credentials, secret_access_key: 'wrong' } })).toContain(
      'InvalidSignatureException',
    )
    expect(await said({ credentials: { ...credentials, access_key_id: 'AKIDwrong' } })).toContain(
      'UnrecognizedClientException',
    )
    expect(await said({ region: 'eu-central-1' })).toContain('InvalidSignatureException')
    for (const skew_ms of [-400_000, 400_000]) {
      aws.state.skew_ms = skew_ms
      expect(await said({})).toContain('InvalidSignatureException')
    }
  })
})

test('the check names each permission that is missing, and starts nothing', async () => {
  for (const action of ['ListJobs', 'SubmitJob', 'RegisterJobDefinition', 'TerminateJob', 'GetLogEvents'])
    aws.state.denied.add(action)
  const missing = (await provider.check(signal)).filter(({ ok }) => !ok)
  expect(missing.map(({ name }) => name)).toEqual([
    'batch:ListJobs',
    'batch:RegisterJobDefinition',
    'batch:SubmitJob',
    'batch:TerminateJob',
    'logs:GetLogEvents',
  ])
  expect(missing[2]?.detail).toBe(
    'SubmitJob: AccessDeniedException: see that the key is right, the clock too, and give it batch:SubmitJob',
  )
  expect([aws.state.jobs.size, aws.state.definitions.length]).toEqual([0, 0])
})
