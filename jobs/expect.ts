// How long work should take on an offer: from what the same work took there, else from the kind's own model. Pure.
import type { Offer } from '../providers/provider.ts'
import { costMicros, usdToMicros } from './cost.ts'
import { backtestSeconds, backtestSignature } from './kinds/backtest-work.ts'
import type { Part } from './shards.ts'
import type { JobSpec } from './spec.ts'

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

/** Equal for work whose durations foretell each other. */
export function signatureOf(spec: Pick<JobSpec, 'kind' | 'params'>, part: Part): string {
  return backtestSignature(spec.params, part)
}

/** null: neither has this work run there before, nor can its kind tell. */
export function expect(
  work: { spec: Pick<JobSpec, 'kind' | 'params'>; part: Part },
  offer: Offer,
  history: History,
  boot_s: number,
): Expectation | null {
  const known = history.get(historyKey(offer.provider, offer.account, offer.id))
  if (known !== undefined) return { duration_s: known, basis: 'history' }
  const run_s = backtestSeconds(work.spec.params, work.part, offer)
  return run_s === null ? null : { duration_s: boot_s + run_s, basis: 'model' }
}

/** What it should cost there, the vendor's least included. */
export function expectedMicros(
  offer: Pick<Offer, 'usd_per_hour'>,
  { duration_s }: Pick<Expectation, 'duration_s'>,
  min_billing_s: number,
): number {
  const billed_from = new Date(0)
  const billed_to = new Date(Math.ceil(duration_s * 1_000))
  const price = { usd_micros_per_hour: usdToMicros(offer.usd_per_hour), min_billing_s }
  return costMicros({ ...price, billed_from, billed_to }, billed_to)
}
