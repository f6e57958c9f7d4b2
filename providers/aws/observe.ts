// What a job's status and the texts beside it say. Batch has no codes for them.
import type { JobDetail } from '@aws-sdk/client-batch'
import type { Observation } from '../provider.ts'

type Waits = NonNullable<Extract<Observation, { state: 'pending' }>['reason']>
type Ends = NonNullable<Extract<Observation, { state: 'exited' }>['reason']>

/**
 * Why a job stays RUNNABLE:
 * https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
 */
const waits: readonly (readonly [RegExp, Waits])[] = [
  [/^CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY/, 'capacity'],
  // The account's own bounds: the environment's vCPUs, or nothing in it that is large enough.
  [/^MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE/, 'quota'],
  [/^MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT/, 'capacity'],
]

/** How a job has failed: `Host EC2*` is how Batch names machines that were taken back. */
const ends: readonly (readonly [RegExp, Ends])[] = [
  // https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
  [/^Host EC2/, 'preempted'],
  // https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
  [/^Job attempt duration exceeded timeout/, 'deadline'],
  // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
  [/^CannotPull(ECR)?Container|^CannotPullImage/, 'image'],
  // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
  [/^OutOfMemoryError/, 'out_of_memory'],
]

/** Texts are bounded by Batch; what is shown of them is bounded here. */
const shown_chars = 300

export function observationOf(job: JobDetail | undefined): Observation {
  if (!job) return { state: 'gone', detail: null }
  const said = [job.statusReason, job.container?.reason].filter((text) => text !== undefined)
  const detail = said.length > 0 ? said.join('; ').slice(0, shown_chars) : null
  switch (job.status) {
    case 'SUBMITTED':
    case 'PENDING':
    case 'RUNNABLE': {
      const reason = firstOf(waits, said)
      return { state: 'pending', detail, ...(reason && { reason }) }
    }
    case 'STARTING':
      return { state: 'pending', detail: detail ?? 'its container is being started' }
    case 'RUNNING':
      return { state: 'running', detail }
    case 'SUCCEEDED':
    case 'FAILED':
      return endOf(job, detail, said)
    case undefined:
    default:
      return { state: 'unseen', detail: 'DescribeJobs: a status that is not known' }
  }
}

function endOf(
  { status, container }: JobDetail,
  detail: string | null,
  said: readonly string[],
): Observation {
  // One that waited when it was ended has no container, and so no code.
  const exit_code = container?.exitCode ?? (status === 'SUCCEEDED' ? 0 : null)
  return { state: 'exited', exit_code, detail, reason: firstOf(ends, said) }
}

function firstOf<Reason>(
  rows: readonly (readonly [RegExp, Reason])[],
  said: readonly string[],
): Reason | null {
  return rows.find(([pattern]) => said.some((text) => pattern.test(text)))?.[1] ?? null
}
