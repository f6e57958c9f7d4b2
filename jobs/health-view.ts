// The health of an account as operators see it.
import { kept_ms, latencies_ms, slot_ms } from './health.ts'
import type { CallCount, HealthRow } from './store/health.ts'

/** Below this share of answers in the last minutes an account is degraded, where there were enough calls to tell. */
const degradedShare = 0.9
const enoughCalls = 5

/** What the vendor answered, if not with what was wanted. */
const answers: ReadonlySet<string> = new Set(['ok', 'capacity', 'quota', 'balance', 'rejected', 'not_found'])

export const healthStates = ['healthy', 'degraded', 'open', 'parked'] as const

export interface CallFigures {
  calls: number
  /** Share that the vendor answered; null: there were no calls. */
  success_rate: number | null
  /** Upper bounds, of calls that ended within a minute; null: there were none, or they took longer. */
  p50_ms: number | null
  p95_ms: number | null
}

export interface HealthView extends CallFigures {
  state: (typeof healthStates)[number]
  reason: string | null
  detail: string | null
  /** null: as long as anyone knows. */
  since: string | null
  /** Of a parked account. */
  next_try_at: string | null
  by_call: (CallFigures & { call: string; errors: Record<string, number> })[]
  last_error: { call: string; code: string; detail: string; at: string } | null
}

export function healthView(row: HealthRow | null, counts: readonly CallCount[], now: Date): HealthView {
  const recent = counts.filter(({ slot_at }) => slot_at.getTime() > now.getTime() - kept_ms)
  const groups = [...Map.groupBy(recent, ({ call }) => call)].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    ...stateOf(row, recent),
    ...figures(recent),
    by_call: groups.map(([call, of]) => ({ call, ...figures(of), errors: errorsOf(of) })),
    last_error: lastError(row),
  }
}

type State = Pick<HealthView, 'state' | 'reason' | 'detail' | 'since' | 'next_try_at'>

function stateOf(row: HealthRow | null, counts: readonly CallCount[]): State {
  const known = {
    reason: row?.reason ?? null,
    detail: row?.detail ?? null,
    since: row?.since.toISOString() ?? null,
    next_try_at: row?.probe_at?.toISOString() ?? null,
  }
  if (row && row.state !== 'healthy') return { state: row.state, ...known }
  const since_ms = degradedSince(counts)
  if (since_ms === null) return { state: 'healthy', ...known }
  const detail = `fewer than ${degradedShare * 100} % of the calls since then were answered`
  return {
    state: 'degraded',
    reason: row?.error_code ?? null,
    detail,
    since: new Date(since_ms).toISOString(),
    next_try_at: null,
  }
}

/** The beginning of the bad stretches that reach to the last one with calls; null: that was a good one. */
function degradedSince(counts: readonly CallCount[]): number | null {
  const slots = [...Map.groupBy(counts, ({ slot_at }) => slot_at.getTime())].toSorted(([a], [b]) => b - a)
  let since_ms: number | null = null
  for (const [at_ms, of] of slots) {
    const { calls, success_rate } = figures(of)
    const isBad = calls >= enoughCalls && (success_rate ?? 1) < degradedShare
    if (!isBad || (since_ms !== null && since_ms - at_ms > slot_ms)) break
    since_ms = at_ms
  }
  return since_ms
}

const sum = (counts: readonly CallCount[]) => counts.reduce((all, { count }) => all + count, 0)

function figures(counts: readonly CallCount[]): CallFigures {
  const calls = sum(counts)
  const answered = sum(counts.filter(({ result }) => answers.has(result)))
  return {
    calls,
    success_rate: calls === 0 ? null : Math.round((answered / calls) * 10_000) / 10_000,
    p50_ms: latency(counts, calls, 0.5),
    p95_ms: latency(counts, calls, 0.95),
  }
}

function latency(counts: readonly CallCount[], calls: number, share: number): number | null {
  let seen = 0
  for (const [bucket, most_ms] of latencies_ms.entries()) {
    seen += sum(counts.filter((each) => each.bucket === bucket))
    if (seen > 0 && seen >= calls * share) return most_ms
  }
  return null
}

function errorsOf(counts: readonly CallCount[]): Record<string, number> {
  const errors = Map.groupBy(
    counts.filter(({ result }) => result !== 'ok'),
    ({ result }) => result,
  )
  return Object.fromEntries([...errors].map(([result, of]) => [result, sum(of)]))
}

function lastError(row: HealthRow | null): HealthView['last_error'] {
  if (!row || row.error_at === null) return null
  const { error_call, error_code, error_detail, error_at } = row
  return {
    call: error_call ?? '',
    code: error_code ?? '',
    detail: error_detail ?? '',
    at: error_at.toISOString(),
  }
}
