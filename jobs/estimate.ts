// A dry run: where a job would go, how long it should take and what it should cost. The computation is the pass's own.
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { pointsOf } from './kinds/backtest.ts'
import { loadPlaces, loadWork, type Places, rank } from './market.ts'
import type { Ranking } from './place.ts'
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

/** Throws AppError invalid_request when the spec is strict and no offer could ever take it. */
export async function estimate(deps: Deps, project_id: string, spec: JobSpec): Promise<Estimate> {
  const places = await loadPlaces(deps)
  const uncut = await rankPart(deps, places, { project_id, spec }, whole)
  const shards = shardCount(spec, pointsOf(spec.params), runOf(places, uncut))
  const ranking =
    shards === 1 ? uncut : await rankPart(deps, places, { project_id, spec }, { role: 'work', of: shards })
  const warnings = warningsOf(ranking, deps.offers().length)
  const [first] = warnings
  if (first && spec.strict)
    throw new AppError('invalid_request', first.message, {
      errors: [{ path: 'resources', message: first.message }],
    })
  const micros = ranking.ranked[0]?.expected_micros ?? null
  return {
    ...rankingView(ranking, shards),
    shards,
    warnings,
    estimated_micros: micros === null ? null : micros * shards,
  }
}

async function rankPart(
  deps: Deps,
  places: Places,
  { project_id, spec }: { project_id: string; spec: JobSpec },
  part: Part,
): Promise<Ranking> {
  const job = { spec, shards_total: part.of, shards_waiting: part.of }
  const allowance_micros = allowance(job, part.role, noMoney)
  const work = { project_id, spec, part, excluded_providers: [], allowance_micros }
  await loadWork(deps, places, [work])
  return rank(places, work, deps.clock.now())
}

/** What the whole job should take where it would go; null: nobody can tell. */
function runOf({ traits_of }: Places, { ranked }: Ranking) {
  const [best] = ranked
  if (!best?.expected) return null
  const { boot_s } = traits_of(best.offer.provider, best.offer.account)
  return { run_s: Math.max(0, best.expected.duration_s - boot_s), boot_s }
}

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
