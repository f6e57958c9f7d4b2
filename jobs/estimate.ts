// A dry run: where a job would go, how long it should take and what it should cost. The computation is the pass's own.
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { pointsOf } from './kinds/kind.ts'
import { loadPlaces, loadWork, type Places, rank, type Work } from './market.ts'
import { namesCloudGpu, type Ranking } from './place.ts'
import { type RankingView, rankingView } from './ranking-view.ts'
import { allowance, noMoney, type Part, shardCount, whole } from './shards.ts'
import type { JobSpec } from './spec.ts'
import type { Warning } from './store/schema.ts'

export interface Estimate extends RankingView {
  /** Parts that the job would be cut into; durations are of one of them, costs of all. */
  shards: number
  warnings: Warning[]
  /** Micro-dollars at the offer that would be taken; null: nobody can tell. */
  estimated_micros: number | null
}

/** Throws AppError invalid_request when no offer could ever take a strict spec, or it names a GPU of a cloud. */
export async function estimate(deps: Deps, project_id: string, spec: JobSpec): Promise<Estimate> {
  return (await openEstimates(deps, await loadPlaces(deps), [{ project_id, spec }]))(spec)
}

/** Loads what estimates of these specs need, once for all of them. */
export async function openEstimates(
  deps: Deps,
  places: Places,
  wanted: readonly { project_id: string; spec: JobSpec }[],
): Promise<(spec: JobSpec) => Estimate> {
  const uncut = wanted.map(({ project_id, spec }) => workOf(project_id, spec, whole))
  await loadWork(deps, places, uncut)
  const works = new Map(uncut.map((work) => [work.spec, cut(deps, places, work)]))
  await loadWork(deps, places, [...works.values()])
  return (spec) => {
    const work = works.get(spec)
    if (!work) throw new Error('an estimate of a spec that was not loaded')
    return estimateAt(deps, places, work)
  }
}

/** The job as so many parts as its work is worth. */
function cut({ clock }: Deps, places: Places, uncut: Work): Work {
  const { project_id, spec } = uncut
  const points = pointsOf(spec)
  if (points === 1) return uncut
  const [best] = rank(places, uncut, clock.now()).ranked
  const boot_s = best ? places.traits_of(best.offer.provider, best.offer.account).boot_s : 0
  const run_s = best?.expected && Math.max(0, best.expected.duration_s - boot_s)
  const of = shardCount(spec, points, run_s === null || run_s === undefined ? null : { run_s, boot_s })
  return workOf(project_id, spec, { role: 'work', of })
}

function workOf(project_id: string, spec: JobSpec, part: Part): Work {
  const job = { spec, shards_total: part.of, shards_waiting: part.of }
  const allowance_micros = allowance(job, part.role, noMoney)
  return { project_id, spec, part, excluded_providers: [], allowance_micros }
}

function estimateAt(deps: Deps, places: Places, work: Work): Estimate {
  const { spec, project_id, part } = work
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
  const micros = ranking.ranked[0]?.expected_micros ?? null
  return {
    ...rankingView(ranking, part.of),
    shards: part.of,
    warnings,
    estimated_micros: micros === null ? null : micros * part.of,
  }
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
