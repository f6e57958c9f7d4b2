import type { Deps } from '../jobs/deps.ts'
import { topics } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import { isTerminal } from '../jobs/state.ts'

/** A change made by another process is noticed by this poll; one made here wakes at once. */
export const poll_ms = 1_000

/** Resolves when the job has ended, or after some seconds. */
export async function waitForEnd(
  deps: Deps,
  project_id: string,
  job_id: string,
  wait_s: number,
): Promise<void> {
  const end = deps.clock.now().getTime() + wait_s * 1_000
  for (;;) {
    const left = end - deps.clock.now().getTime()
    if (left <= 0 || isTerminal((await findJob(deps, project_id, job_id)).state)) return
    await deps.waker.wait(topics.job(job_id), Math.min(left, poll_ms))
  }
}
