// The jobs of the fake AWS Batch: what becomes of one as time passes, and how the API tells it.
import { region } from './aws-wire.ts'

export const account = '123456789012'

export interface FakeJob {
  jobId: string
  jobName: string
  queue: string
  definition: string
  tags: Record<string, string>
  environment: { name: string; value: string }[]
  created_ms: number
  timeout_s: number
  /** It waits, and this is said of it. */
  waits: string | null
  end: {
    at_ms: number
    status: 'SUCCEEDED' | 'FAILED'
    exitCode?: number
    said: string
    container?: string
  } | null
  /** Asked to end: how long a container takes over it. */
  stopped_ms: number | null
  stop_reason: string
  log: string[]
}

/** From SUBMITTED to RUNNABLE, to STARTING (an instance is there), to RUNNING (the image is). */
export const [runnable_ms, starting_ms, running_ms] = [1_000, 60_000, 90_000]
/** ECS gives a container so long after SIGTERM. */
const kill_ms = 30_000
export const billed_least_s = 60

export function settleJobs(jobs: Iterable<FakeJob>, now_ms: number): void {
  for (const job of jobs) {
    if (job.end) continue
    const started = startOf(job, now_ms)
    if (job.stopped_ms !== null && (started === null || job.stopped_ms < started))
      // CancelJob and TerminateJob of what waits: it fails at once, and had no container.
      job.end = { at_ms: job.stopped_ms, status: 'FAILED', said: job.stop_reason }
    else if (job.stopped_ms !== null && now_ms >= job.stopped_ms + kill_ms)
      job.end = { at_ms: job.stopped_ms + kill_ms, status: 'FAILED', exitCode: 143, said: job.stop_reason }
    else if (started !== null && now_ms >= started + job.timeout_s * 1000) {
      const at_ms = started + job.timeout_s * 1000
      job.end = { at_ms, status: 'FAILED', exitCode: 137, said: 'Job attempt duration exceeded timeout' }
    }
  }
}

const startOf = (job: FakeJob, now_ms: number): number | null =>
  job.waits === null && now_ms >= job.created_ms + running_ms ? job.created_ms + running_ms : null

export function statusOf(job: FakeJob, now_ms: number): string {
  if (job.end) return job.end.status
  const age = now_ms - job.created_ms
  if (age < runnable_ms) return 'SUBMITTED'
  if (job.waits !== null || age < starting_ms) return 'RUNNABLE'
  return age < running_ms ? 'STARTING' : 'RUNNING'
}

export function summaryOf(job: FakeJob, now_ms: number) {
  const status = statusOf(job, now_ms)
  const { end } = job
  const statusReason = end?.said ?? (status === 'RUNNABLE' ? job.waits : null)
  const startedAt = end?.exitCode === undefined ? startOf(job, now_ms) : job.created_ms + running_ms
  const hasContainer = startedAt !== null || end?.container !== undefined
  return {
    jobArn: arnOf('job', job.jobId),
    jobId: job.jobId,
    jobName: job.jobName,
    createdAt: job.created_ms,
    jobDefinition: job.definition,
    status,
    ...(statusReason !== null && { statusReason }),
    ...(startedAt !== null && { startedAt }),
    ...(end && { stoppedAt: end.at_ms }),
    ...(job.stopped_ms !== null && { isTerminated: true }),
    ...(hasContainer && {
      container: {
        ...(end?.exitCode !== undefined && { exitCode: end.exitCode }),
        ...(end?.container !== undefined && { reason: end.container }),
      },
    }),
  }
}

export function detailOf(job: FakeJob, now_ms: number) {
  const summary = summaryOf(job, now_ms)
  return {
    ...summary,
    jobQueue: arnOf('job-queue', job.queue),
    startedAt: summary.startedAt ?? 0,
    tags: job.tags,
    timeout: { attemptDurationSeconds: job.timeout_s },
    container: {
      ...summary.container,
      environment: job.environment,
      ...(summary.startedAt !== undefined && { logStreamName: `${job.jobName}/default/${job.jobId}` }),
    },
  }
}

export const arnOf = (type: string, name: string) => `arn:aws:batch:${region}:${account}:${type}/${name}`
