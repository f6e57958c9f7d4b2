/** What can be told apart in one chart. */
export const mostJobs = 6

export interface CompareSearch {
  /** Ids with commas between. */
  jobs?: string
}

export function compareSearch({ jobs }: Record<string, unknown>): CompareSearch {
  const ids = typeof jobs === 'string' ? idsIn(jobs) : []
  return ids.length === 0 ? {} : { jobs: ids.join(',') }
}

export const idsIn = (text: string | undefined): string[] =>
  [...new Set((text ?? '').split(','))].filter((id) => /^job_[0-9a-z]{26}$/.test(id)).slice(0, mostJobs)
