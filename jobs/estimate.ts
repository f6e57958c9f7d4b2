// A dry run: where a job would go, how long it should take and what it should cost. The computation is the pass's own.
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { loadPlaces, loadWork, type Places, rank, type Work } from './market.ts'
import { namesCloudGpu, type Ranking } from './place.ts'
import { type RankingView, rankingView } from './ranking-view.ts'
import type { JobSpec } from './spec.ts'
import type { Warning } from './store/schema.ts'

export interface Estimate extends RankingView {
  warnings: Warning[]
  /** Micro-dollars at the offer that would be taken; null: nobody can tell. */
  estimated_micros: number | null
}

/** Throws AppError invalid_request when no offer could ever take a strict spec, or it names a GPU of a cloud. */
export async function estimate(deps: Deps, project_id: string, spec: JobSpec): Promise<Estimate> {
  return (await openEstimates(deps, project_id, [spec]))(spec)
}

/** Loads what estimates of these specs need, once for all of them. */
export async function openEstimates(
  deps: Deps,
  project_id: string,
  specs: readonly JobSpec[],
): Promise<(spec: JobSpec) => Estimate> {
  const places = await loadPlaces(deps)
  const workOf = (spec: JobSpec): Work => ({ project_id, spec, excluded_providers: [], spent_micros: 0 })
  await loadWork(deps, places, specs.map(workOf))
  return (spec) => estimateAt(deps, places, workOf(spec))
}

function estimateAt(deps: Deps, places: Places, work: Work): Estimate {
  const { spec, project_id } = work
  const policy = places.policies.get(project_id) ?? null
  if (namesCloudGpu({ ...spec, policy }, places.offers))
    throw refused(
      'resources.device',
      `${spec.resources.device} names a GPU of one machine, and only clouds offer some: ask for "cuda".`,
    )
  const ranking = rank(places, work, deps.clock.now())
  const warnings = warningsOf(ranking, deps.offers().length)
  const [first] = warnings
  if (first && spec.strict) throw refused('resources', first.message)
  return { ...rankingView(ranking), warnings, estimated_micros: ranking.ranked[0]?.expected_micros ?? null }
}

const refused = (path: string, message: string) =>
  new AppError('invalid_request', message, { errors: [{ path, message }] })

/** Says when no configured offer could ever take the work. */
function warningsOf({ ranked, rejected, can_wait }: Ranking, offers: number): Warning[] {
  if (ranked.length > 0 || can_wait) return []
  const reasons = [...new Set(rejected.map(({ reason }) => reason))]
  const message =
    offers === 0
      ? 'No provider offers anything at the moment: configure one, or wait.'
      : `None of ${offers} offers can ever take this job; they fail on ${reasons.join(', ')}.`
  return [{ code: 'unsatisfiable', message }]
}
