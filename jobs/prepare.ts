// From specs to jobs that can be stored: targets and files are checked, and each is estimated.
import type { Deps } from './deps.ts'
import { AppError, type Refusal, refusalOf } from './errors.ts'
import { type Estimate, openEstimates } from './estimate.ts'
import type { JobSpec } from './spec.ts'
import type { Prepared } from './submit.ts'
import { checkFileUrls, checkTargets } from './targets.ts'

/** A spec that was parsed, or what is wrong with it. */
export type Parsed = { spec: JobSpec } | { problem: Refusal }

/** One of each, in their order: what is wrong with one is said in its place. */
export async function prepareJobs(
  deps: Deps,
  project_id: string,
  parsed: readonly Parsed[],
): Promise<Prepared[]> {
  const specs = parsed.flatMap((each) => ('spec' in each ? [each.spec] : []))
  const estimate = await openEstimates(deps, project_id, specs)
  return parsed.map((each) => ('spec' in each ? prepare(deps, each.spec, estimate) : each))
}

function prepare(deps: Deps, spec: JobSpec, estimate: (spec: JobSpec) => Estimate): Prepared {
  try {
    checkTargets(spec, deps.check_target)
    checkFileUrls(spec, deps.settings.local_data_dirs)
    const { warnings, estimated_micros, shards } = estimate(spec)
    return { spec, warnings, estimated_micros, shards }
  } catch (error) {
    if (error instanceof AppError) return { problem: refusalOf(error) }
    throw error
  }
}
