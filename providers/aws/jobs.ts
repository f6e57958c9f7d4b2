// The jobs of a queue: by id, by name, and all that are not over.
import type { JobDetail, JobStatus, JobSummary } from '@aws-sdk/client-batch'
import { type Api, pagesOf } from './api.ts'

/** The most of one DescribeJobs. */
export const described_most = 100
/** Of a page of ListJobs with a filter, and with a status. */
const named_most = 100
const listed_most = 1_000

/**
 * In the order of a job's life: one that moves on while the lists are read is in a later one, or in two.
 * https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
 */
export const activeStatuses = ['SUBMITTED', 'PENDING', 'RUNNABLE', 'STARTING', 'RUNNING'] as const

export const isActive = ({ status }: { status?: JobStatus | undefined }): boolean =>
  activeStatuses.some((each) => each === status)

/** By id, those that Batch knows; finished jobs are kept for about a week. */
export async function describeJobs(
  api: Api,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, JobDetail>> {
  const jobs = new Map<string, JobDetail>()
  for (let at = 0; at < ids.length; at += described_most) {
    const part = ids.slice(at, at + described_most)
    const found = await pagesOf('DescribeJobs', async () => {
      const { jobs: items } = await api.read('DescribeJobs', signal, (sdk, client, bound) =>
        client.send(new sdk.DescribeJobsCommand({ jobs: part }), bound),
      )
      return { items }
    })
    for (const job of found) if (job.jobId) jobs.set(job.jobId, job)
  }
  return jobs
}

/** Of this name exactly, the oldest first; jobs that are over too. */
export async function jobsNamed(
  api: Api,
  queue: string,
  name: string,
  signal: AbortSignal,
): Promise<JobSummary[]> {
  const filters = [{ name: 'JOB_NAME', values: [name] }]
  const found = await pagesOf('ListJobs', async (nextToken) => {
    const input = { jobQueue: queue, filters, maxResults: named_most, nextToken }
    const answer = await api.read('ListJobs', signal, (sdk, client, bound) =>
      client.send(new sdk.ListJobsCommand(input), bound),
    )
    return { items: answer.jobSummaryList, nextToken: answer.nextToken }
  })
  // The filter does not tell capitals from small letters.
  return found
    .filter(({ jobName }) => jobName === name)
    .toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0))
}

/** Not over, whoever they are of. By status and not by name: those that are over stay listed for a week. */
export async function activeJobs(api: Api, queue: string, signal: AbortSignal): Promise<JobSummary[]> {
  const jobs = new Map<string, JobSummary>()
  for (const jobStatus of activeStatuses) {
    const found = await pagesOf('ListJobs', async (nextToken) => {
      const input = { jobQueue: queue, jobStatus, maxResults: listed_most, nextToken }
      const answer = await api.read('ListJobs', signal, (sdk, client, bound) =>
        client.send(new sdk.ListJobsCommand(input), bound),
      )
      return { items: answer.jobSummaryList, nextToken: answer.nextToken }
    })
    for (const job of found) if (job.jobId) jobs.set(job.jobId, job)
  }
  return [...jobs.values()]
}
