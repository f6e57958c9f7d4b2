// How long work should take on an offer: from what the same work took there, else from the kind's own model. Pure.
import type { Offer } from '../providers/provider.ts'
import { microsOf } from './cost.ts'
import { secondsOf, type Work } from './kinds/kind.ts'
import type { Part } from './shards.ts'

export interface Expectation {
  /** From launch to the end, the machine's start included. */
  duration_s: number
  /** `history`: the mean of what the same work took on the same offer; `model`: computed. */
  basis: 'history' | 'model'
}

/** Mean seconds from launch to end, by historyKey, of work with one signature. */
export type History = ReadonlyMap<string, number>

/** The GPUs of one machine foretell each other: else the one that once was faster by chance would be taken ever after. */
export const historyKey = (provider: string, account: string, offer: string): string =>
  `${provider}/${account}/${offer.replace(/^cuda:\d+$/, 'cuda')}`

interface At {
  /** A key of history. */
  history: string
  offer: Pick<Offer, 'cpu'>
}

/** How long work should take on each offer; null: neither has it run there before, nor can its kind tell. */
export function expecting(
  work: { spec: Work; part: Part; rows: number | null },
  history: History,
): { seconds: (at: At, boot_s: number) => number | null; basis: (at: At) => Expectation['basis'] } {
  const run_s = secondsOf(work.spec, work.part, work.rows)
  return {
    seconds: (at, boot_s) => history.get(at.history) ?? (run_s && boot_s + run_s(at.offer)),
    basis: (at) => (history.has(at.history) ? 'history' : 'model'),
  }
}

/** What so many seconds should cost, to the millisecond, the vendor's least included. */
export function expectedMicros(
  usd_micros_per_hour: number,
  duration_s: number,
  min_billing_s: number,
): number {
  return microsOf(usd_micros_per_hour, min_billing_s, Math.ceil(duration_s * 1_000) / 1_000)
}
