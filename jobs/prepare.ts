// From specs to jobs that can be stored: targets and files are checked, and each is estimated.
import { cacheKey } from './cache.ts'
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
  return parsed.map((each) => ('spec' in each ? prepare(deps, project_id, each.spec, estimate) : each))
}

function prepare(
  deps: Deps,
  project_id: string,
  spec: JobSpec,
  estimate: (spec: JobSpec) => Estimate,
): Prepared {
  try {
    checkTargets(spec, deps.check_target)
    checkFileUrls(spec, deps.settings.local_data_dirs)
    const { warnings, estimated_micros, shards } = estimate(spec)
    return { spec, warnings, estimated_micros, shards, cache_key: keyOf(deps, project_id, spec) }
  } catch (error) {
    if (error instanceof AppError) return { problem: refusalOf(error) }
    throw error
  }
}

/** The job whose result would be given at once; null: it would run. */
export async function cachedJob(deps: Deps, project_id: string, spec: JobSpec): Promise<string | null> {
  const key = keyOf(deps, project_id, spec)
  if (key === null) return null
  const since = new Date(deps.clock.now().getTime() - deps.settings.cache_ttl_s * 1_000)
  const row = await deps.db
    .selectFrom('result_cache')
    .select('job_id')
    .where('project_id', '=', project_id)
    .where('key', '=', key)
    .where('created_at', '>', since)
    .executeTakeFirst()
  return row?.job_id ?? null
}

/** The key of its result. */
function keyOf({ settings }: Pick<Deps, 'settings'>, project_id: string, spec: JobSpec): string | null {
  return settings.cache_ttl_s === 0 ? null : cacheKey(project_id, spec, settings.program_version(spec.kind))
}
