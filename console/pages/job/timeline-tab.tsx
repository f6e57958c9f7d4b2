import type { Job } from '../../api/types.ts'

export function TimelineTab({ job }: { job: Job }) {
  return <pre className="p-4">{JSON.stringify(job.attempts, null, 2)}</pre>
}
