// What the list of jobs is filtered by, as it stands in the address.
import type { JobFilters } from '../../api/jobs.ts'

export type JobsSearch = JobFilters

const states = ['queued', 'scheduled', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'] as const

export function jobsSearch(given: Record<string, unknown>): JobsSearch {
  const state = states.find((each) => each === given['state'])
  const found: JobsSearch = {}
  if (state !== undefined) found.state = state
  for (const name of ['kind', 'label', 'provider', 'created_after', 'created_before'] as const) {
    const text = given[name]
    if (typeof text === 'string' && text !== '' && text.length <= 320) found[name] = text
  }
  return found
}

export { states as jobStates }
export const jobKinds = ['backtest', 'training', 'custom'] as const
