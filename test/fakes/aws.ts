// The APIs of AWS Batch and CloudWatch Logs as their SDKs see them: signatures are verified by a third party's code, fields that an
// action does not have are refused, jobs take their time, lists lag and come in pages. Statuses, texts and bounds are those of
// https://docs.aws.amazon.com/batch/latest/APIReference/ and of the SDK's own model (3.1138).
import { randomUUID } from 'node:crypto'
import type { BackEnd, Call } from '../../providers/conformance/subject.ts'
import {
  account,
  arnOf,
  billed_least_s,
  detailOf,
  type FakeJob,
  running_ms,
  settleJobs,
  starting_ms,
  statusOf,
  summaryOf,
} from './aws-jobs.ts'
import { checkFields, type Fields } from './aws-fields.ts'
import { exception, Refused, verify } from './aws-wire.ts'
import { serveWire, type Vendor, type WireAnswer, type WireRequest } from './wire.ts'

interface FakeDefinition {
  name: string
  revision: number
  status: 'ACTIVE' | 'INACTIVE'
  tags: Record<string, string>
  container: Record<string, unknown>
}

interface FakeQueue {
  state: string
  status: string
  statusReason?: string
  environments: string[]
}

interface FakeEnvironment {
  state: string
  status: string
  type: string
  computeResources?: { type: string; maxvCpus: number }
}

/** https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html */
const payload_most = 30 * 1024

/** @param clock of the machine, by which signatures are made */
export async function openAws(clock: () => number) {
  let now_ms = Date.parse('2026-01-01T00:00:00Z')
  const state = {
    queues: new Map<string, FakeQueue>(),
    environments: new Map<string, FakeEnvironment>(),
    jobs: new Map<string, FakeJob>(),
    definitions: [] as FakeDefinition[],
    page: Number.POSITIVE_INFINITY,
    lag_ms: 0,
    /** Of the server's clock. */
    skew_ms: 0,
    /** Actions that the user's policy does not allow. */
    denied: new Set<string>(),
    hindered: new Map<string, string>(),
    /** In place of every answer. */
    answer: null as WireAnswer | null,
    asked: [] as { action: string; body: Record<string, unknown> }[],
  }
  const { jobs } = state

  const settle = (): void => settleJobs(jobs.values(), now_ms)

  const queueOf = (given: unknown): FakeQueue & { name: string } => {
    const name = String(given).replace(/^arn:aws:batch:.*:job-queue\//, '')
    const queue = state.queues.get(name)
    if (!queue) throw new Refused('ClientException', `JobQueue ${String(given)} not found`)
    return { ...queue, name }
  }
  const paged = <Item>(items: Item[], { nextToken, maxResults }: Fields, most: number) => {
    const from = typeof nextToken === 'string' ? Number(Buffer.from(nextToken, 'base64').toString()) : 0
    const size = Math.min(Number(maxResults ?? most), most, state.page)
    const page = items.slice(from, from + size)
    const next = from + size < items.length ? Buffer.from(String(from + size)).toString('base64') : undefined
    return { page, ...(next !== undefined && { nextToken: next }) }
  }

  const actions: Record<string, (body: Fields) => object> = {
    DescribeJobQueues: ({ jobQueues, ...body }) => {
      const wanted = jobQueues as string[] | undefined
      const all = [...state.queues].map(([jobQueueName, { environments, ...queue }]) => ({
        jobQueueName,
        jobQueueArn: arnOf('job-queue', jobQueueName),
        priority: 1,
        computeEnvironmentOrder: environments.map((name, order) => ({
          order,
          computeEnvironment: arnOf('compute-environment', name),
        })),
        ...queue,
      }))
      const found = all.filter(
        ({ jobQueueName, jobQueueArn }) =>
          !wanted || wanted.includes(jobQueueName) || wanted.includes(jobQueueArn),
      )
      const { page, ...rest } = paged(found, body, 100)
      return { jobQueues: page, ...rest }
    },
    DescribeComputeEnvironments: ({ computeEnvironments, ...body }) => {
      const wanted = computeEnvironments as string[] | undefined
      const all = [...state.environments].map(([name, environment]) => ({
        computeEnvironmentName: name,
        computeEnvironmentArn: arnOf('compute-environment', name),
        ...environment,
      }))
      const found = all.filter(({ computeEnvironmentArn: arn }) => !wanted || wanted.includes(arn))
      const { page, ...rest } = paged(found, body, 100)
      return { computeEnvironments: page, ...rest }
    },
    DescribeJobDefinitions: ({ jobDefinitionName, status, ...body }) => {
      const found = state.definitions.filter(
        (each) =>
          (jobDefinitionName === undefined || each.name === jobDefinitionName) &&
          (status === undefined || each.status === status),
      )
      const { page, ...rest } = paged(found, body, 100)
      return {
        jobDefinitions: page.map(({ name, revision, status: is, tags, container }) => ({
          jobDefinitionName: name,
          jobDefinitionArn: arnOf('job-definition', `${name}:${revision}`),
          revision,
          status: is,
          type: 'container',
          tags,
          containerProperties: container,
        })),
        ...rest,
      }
    },
    RegisterJobDefinition: ({ jobDefinitionName, containerProperties, tags = {} }) => {
      const container = containerProperties as Record<string, unknown> | undefined
      if (!container?.['image'])
        throw new Refused(
          'ClientException',
          'Error executing request, Exception : Container image is required',
        )
      const name = String(jobDefinitionName)
      const revision = state.definitions.filter((each) => each.name === name).length + 1
      const definition = { name, revision, status: 'ACTIVE' as const, tags: tags as Record<string, string> }
      state.definitions.push({ ...definition, container })
      return {
        jobDefinitionName: name,
        revision,
        jobDefinitionArn: arnOf('job-definition', `${name}:${revision}`),
      }
    },
    DeregisterJobDefinition: ({ jobDefinition }) => {
      for (const each of state.definitions)
        if (arnOf('job-definition', `${each.name}:${each.revision}`) === jobDefinition)
          each.status = 'INACTIVE'
      return {}
    },
    SubmitJob: (body) => {
      const queue = queueOf(body['jobQueue'])
      if (queue.state !== 'ENABLED') throw new Refused('ClientException', 'The job queue is disabled')
      const [name, revision] = String(body['jobDefinition']).split(':')
      const definition = state.definitions.findLast(
        (each) =>
          each.name === name &&
          each.status === 'ACTIVE' &&
          (revision === undefined || each.revision === Number(revision)),
      )
      if (!definition)
        throw new Refused('ClientException', `JobDefinition ${String(body['jobDefinition'])} is not ACTIVE`)
      const { environment = [] } = (body['containerOverrides'] ?? {}) as {
        environment?: { name: string; value: string }[]
      }
      const tags = (body['tags'] ?? {}) as Record<string, string>
      const job: FakeJob = {
        jobId: randomUUID(),
        jobName: String(body['jobName']),
        queue: queue.name,
        definition: arnOf('job-definition', `${definition.name}:${definition.revision}`),
        tags: { ...tags },
        environment,
        created_ms: now_ms,
        timeout_s: Number(
          (body['timeout'] as { attemptDurationSeconds?: number } | undefined)?.attemptDurationSeconds ?? 1e9,
        ),
        waits: state.hindered.get(tags['berth:attempt'] ?? '') ?? null,
        end: null,
        stopped_ms: null,
        stop_reason: '',
        log: [],
      }
      jobs.set(job.jobId, job)
      return { jobArn: arnOf('job', job.jobId), jobId: job.jobId, jobName: job.jobName }
    },
    DescribeJobs: ({ jobs: ids }) => {
      if ((ids as string[]).length > 100)
        throw new Refused('ClientException', 'Error executing request, Exception : Too many jobs')
      const found = [...new Set(ids as string[])].flatMap((id) => jobs.get(id) ?? [])
      return { jobs: found.map((job) => detailOf(job, now_ms)) }
    },
    ListJobs: ({ jobQueue, jobStatus, filters, ...body }) => {
      const queue = queueOf(jobQueue).name
      const [filter] = (filters ?? []) as { name: string; values: string[] }[]
      if (filter && filter.name !== 'JOB_NAME')
        throw new Refused('ClientException', `${filter.name} is no filter of this server`)
      const [pattern = ''] = filter?.values.map((value) => value.toLowerCase()) ?? []
      const status = filter ? null : (jobStatus ?? 'RUNNING')
      const found = [...jobs.values()]
        .filter((job) => job.queue === queue && now_ms >= job.created_ms + state.lag_ms)
        .filter((job) =>
          status === null
            ? pattern.endsWith('*')
              ? job.jobName.toLowerCase().startsWith(pattern.slice(0, -1))
              : job.jobName.toLowerCase() === pattern
            : statusOf(job, now_ms) === status,
        )
        // The most recent first.
        .toReversed()
      const { page, ...rest } = paged(
        found.map((job) => summaryOf(job, now_ms)),
        body,
        filter ? 100 : 1_000,
      )
      return { jobSummaryList: page, ...rest }
    },
    TerminateJob: ({ jobId, reason }) => {
      const job = jobs.get(String(jobId))
      // Nothing is said of what has ended, or is not there.
      if (job && !job.end) {
        job.stopped_ms ??= now_ms
        job.stop_reason ||= String(reason)
      }
      return {}
    },
    GetLogEvents: ({ logGroupName, logStreamName, limit }) => {
      const job = [...jobs.values()].find((each) => logStreamName === `${each.jobName}/default/${each.jobId}`)
      if (logGroupName !== '/aws/batch/job' || !job || job.log.length === 0)
        throw new Refused('ResourceNotFoundException', 'The specified log stream does not exist.')
      const events = job.log.slice(-Number(limit ?? 10_000))
      return {
        events: events.map((message) => ({ timestamp: now_ms, message, ingestionTime: now_ms })),
        nextForwardToken: 'f/1',
        nextBackwardToken: 'b/1',
      }
    },
  }

  const actionOf = ({ path, headers }: WireRequest): string => {
    const target = headers['x-amz-target']
    if (typeof target === 'string') return target.replace(/^Logs_20140328\./, '')
    const name = path.replace(/^\/v1\//, '')
    return Object.keys(actions).find((each) => each.toLowerCase() === name) ?? ''
  }
  const answer = (request: WireRequest): WireAnswer => {
    settle()
    const action = actionOf(request)
    const isLogs = request.headers['x-amz-target'] !== undefined
    try {
      verify(request, isLogs ? 'logs' : 'batch', clock() + state.skew_ms)
      if (state.answer) return state.answer
      const carryOut = actions[action]
      if (!carryOut) throw new Refused('UnknownOperationException', `there is no ${request.path}`, 404)
      if (state.denied.has(action))
        throw new Refused(
          'AccessDeniedException',
          `User: arn:aws:iam::${account}:user/berth is not authorized to perform: batch:${action}`,
          403,
        )
      const body = JSON.parse(request.body || '{}') as Fields
      if (request.body.length > payload_most)
        throw new Refused('ClientException', 'The request payload exceeds the limit of 30 KiB')
      checkFields(action, body)
      state.asked.push({ action, body })
      const done = carryOut(body)
      settle()
      return { status: 200, headers: { 'x-amzn-requestid': randomUUID() }, body: JSON.stringify(done) }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return exception(error.type, error.message, error.status)
    }
  }

  const refusal: Vendor['refusal'] = (fault, { body, headers }) => {
    switch (fault) {
      case 'throttled':
        return exception('TooManyRequestsException', 'Too Many Requests', 429)
      case 'unauthorized':
        return exception('AccessDeniedException', 'User is not authorized to perform: batch', 403)
      case 'rejected':
        return exception('ClientException', 'Job definition berth-x:1 is not active', 400)
      case 'quota':
        return exception(
          'ClientException',
          'Error executing request, Exception : Number of jobs in SUBMITTED state exceeds the limit of 1000000',
          400,
        )
      case 'server_error':
        return exception('ServerException', 'Internal Server Error', 500)
      case 'echo':
        return exception('ClientException', `could not use ${body} of ${JSON.stringify(headers)}`, 400)
      case 'capacity':
      case 'balance':
        return null
    }
  }
  const wire = await serveWire({ answer, refusal })

  const of = (attempt_id: string) =>
    [...jobs.values()].filter((job) => job.tags['berth:attempt'] === attempt_id)
  const end = (given: Omit<NonNullable<FakeJob['end']>, 'at_ms'>) => async (attempt_id: string) => {
    settle()
    for (const job of of(attempt_id)) job.end ??= { at_ms: now_ms, ...given }
    await Promise.resolve()
  }
  const matches: Record<Call, (request: WireRequest) => boolean> = {
    launch: ({ path }) => path === '/v1/submitjob',
    stop: ({ path }) => path === '/v1/terminatejob',
    inspect: ({ path }) => path === '/v1/describejobs',
    list: ({ path, body }) => path === '/v1/listjobs' && body.includes('"jobStatus"'),
    offers: ({ path }) => path === '/v1/describejobqueues',
  }
  const said = 'Essential container in task exited'
  const back: BackEnd = {
    things: async (attempt_id) => {
      settle()
      return Promise.resolve(of(attempt_id).filter((job) => job.end === null).length)
    },
    fail(call, fault, after) {
      // What there is no stock for waits, and an account without money is one that is closed.
      if (fault === 'capacity' || fault === 'balance') return false
      wire.spoil(matches[call], fault, after)
      return true
    },
    calm: wire.calm,
    loseAnswer: (call) => wire.lose(matches[call]),
    hide: (ms) => (state.lag_ms = ms),
    async vanish(attempt_id) {
      await Promise.resolve(of(attempt_id).forEach(({ jobId }) => jobs.delete(jobId)))
    },
    finish: (attempt_id, exitCode) =>
      end({ status: exitCode === 0 ? 'SUCCEEDED' : 'FAILED', exitCode, said })(attempt_id),
    end: {
      preempted: end({ status: 'FAILED', said: 'Host EC2 (instance i-0f5b2c3d4e5f67890) terminated.' }),
      out_of_memory: end({
        status: 'FAILED',
        exitCode: 137,
        said,
        container: 'OutOfMemoryError: Container killed due to memory usage',
      }),
      deadline: end({ status: 'FAILED', exitCode: 137, said: 'Job attempt duration exceeded timeout' }),
    },
    hinder: {
      capacity: hinder(
        'CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - All compute environments have insufficient capacity',
      ),
      quota: hinder(
        'MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - The maxvCpu of the compute environment is less than the job needs',
      ),
    },
    async foreign() {
      const others = {
        'berth:installation': '4q7k2mother',
        'berth:attempt': 'att_01jd3m4k5nep7r8r9s0t1v2w3x',
      }
      const common = { definition: 'd', environment: [], timeout_s: 1e9, waits: null, end: null } as const
      const rest = { stopped_ms: null, stop_reason: '', log: [], created_ms: now_ms }
      const [queue = ''] = state.queues.keys()
      for (const [jobName, tags] of [
        ['web', {}],
        // The same six letters, and another installation.
        ['berth-4q7k2m-x', others],
      ] as const) {
        const jobId = randomUUID()
        jobs.set(jobId, { ...common, ...rest, environment: [], queue, jobId, jobName, tags })
      }
      const definition = { revision: 1, status: 'ACTIVE' as const, container: {} }
      state.definitions.push(
        { ...definition, name: 'web', tags: {} },
        { ...definition, name: 'berth-4q7k2m-image-0', tags: { ...others, 'berth:day': '2025-01-01' } },
      )
      await Promise.resolve()
    },
    async helper() {
      const name = 'berth-4q7k2m-image-0a1b2c3d4e5f'
      const tags = { 'berth:installation': installation, 'berth:day': '2025-12-01' }
      state.definitions.push({ name, revision: 1, status: 'ACTIVE', container: {}, tags })
      return Promise.resolve(name)
    },
    pages: (size) => (state.page = size),
    calls: wire.count,
    async deadMan(attempt_id) {
      const [job] = of(attempt_id)
      return Promise.resolve(job ? new Date(job.created_ms + running_ms + job.timeout_s * 1000) : null)
    },
    async bill(attempt_id) {
      settle()
      const seconds = of(attempt_id).map((job) => {
        const from = job.created_ms + starting_ms
        const to = job.end?.at_ms ?? now_ms
        return job.waits !== null || to < from ? 0 : Math.max(billed_least_s, (to - from) / 1000)
      })
      return Promise.resolve(seconds.reduce((sum, each) => sum + each, 0))
    },
    async print(attempt_id, text) {
      await Promise.resolve(of(attempt_id).forEach((job) => job.log.push(...text.trimEnd().split('\n'))))
    },
  }
  function hinder(why: string) {
    return async (attempt_id: string) => {
      await Promise.resolve(state.hindered.set(attempt_id, why))
    }
  }
  return {
    url: wire.url,
    wire,
    state,
    back,
    of,
    endAs: end,
    async pass(ms: number) {
      await Promise.resolve((now_ms += ms))
    },
    now: () => now_ms,
    close: wire.close,
  }
}

/** The one that the fake's helper is of. */
export const installation = '4q7k2m9x3vtb'
