// How long work should take on an offer: from what the same work took there, else from what it took on other GPUs, else from
// the kind's own model. Pure.
import type { GpuModel } from '../providers/gpu-models.ts'
import { gpuNamed } from '../providers/gpus.ts'
import type { Offer } from '../providers/provider.ts'
import { microsOf } from './cost.ts'
import { gpuPrefix, type History, isWhole } from './history.ts'
import { secondsOf, type Work } from './kinds/kind.ts'
import type { Part } from './shards.ts'
import { speedOf } from './speeds.ts'

export interface Expectation {
  /** From launch to the end, the machine's start included. */
  duration_s: number
  /** `history`: the mean of what the same work took on the same offer; `model`: computed. */
  basis: 'history' | 'model'
}

interface At {
  /** A key of history. */
  history: string
  offer: Pick<Offer, 'cpu' | 'gpu'>
  known: GpuModel | null
}

/** How long work should take on each offer; null: neither has it run there before, nor can its kind tell. */
export function expecting(
  work: { spec: Work; part: Part; rows: number | null },
  history: History,
): { seconds: (at: At, boot_s: number) => number | null; basis: (at: At) => Expectation['basis'] } {
  const run_s = secondsOf(work.spec, work.part, work.rows)
  const scaled_s = scaling(work.spec.kind, history)
  return {
    seconds(at, boot_s) {
      const known_s = history.get(at.history)
      if (known_s !== undefined) return known_s
      const at_work_s = scaled_s(at) ?? run_s?.(at.offer) ?? null
      return at_work_s === null ? null : boot_s + at_work_s
    },
    basis: (at) => (history.has(at.history) ? 'history' : 'model'),
  }
}

/** What the same work should take on another model of GPU; null: it has run on none, or nobody knows how fast that one is. */
function scaling(kind: Work['kind'], history: History): (at: At) => number | null {
  const amounts = [...history].flatMap(([key, seconds]) => {
    const model = key.startsWith(gpuPrefix) ? gpuNamed(key.slice(gpuPrefix.length)) : null
    return model ? [seconds * speedOf(model, kind)] : []
  })
  if (amounts.length === 0) return () => null
  const amount = amounts.reduce((sum, each) => sum + each, 0) / amounts.length
  return ({ known, offer: { gpu } }) => (known && gpu && isWhole(gpu) ? amount / speedOf(known, kind) : null)
}

/** What so many seconds should cost, to the millisecond, the vendor's least included. */
export function expectedMicros(
  usd_micros_per_hour: number,
  duration_s: number,
  min_billing_s: number,
): number {
  return microsOf(usd_micros_per_hour, min_billing_s, Math.ceil(duration_s * 1_000) / 1_000)
}
