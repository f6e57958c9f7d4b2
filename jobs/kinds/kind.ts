// What the rest of the domain asks of a spec, whatever its kind. Pure.
import type { Offer } from '../../providers/provider.ts'
import type { Part } from '../shards.ts'
import type { JobSpec } from '../spec.ts'
import { backtestDataset, backtestInputs, isWhole } from './backtest.ts'
import { pointsOf as backtestPoints } from './backtest-strategy.ts'
import { backtestSeconds, backtestSignature } from './backtest-work.ts'
import { customSignature } from './custom.ts'
import { trainingDataset, trainingInputs } from './training.ts'
import { trainingSeconds, trainingSignature } from './training-work.ts'

/** A spec by its kind and params. */
export type Work = {
  [K in JobSpec['kind']]: { kind: K; params: Extract<JobSpec, { kind: K }>['params'] }
}[JobSpec['kind']]

/** Parts that it can be cut into at most. */
export const pointsOf = (work: Work): number =>
  work.kind === 'backtest' && !isWhole(work.params) ? backtestPoints(work.params) : 1

/** The uploaded dataset that it reads; null: it reads none. */
export function datasetOf(work: Work): string | null {
  if (work.kind === 'backtest') return backtestDataset(work.params)
  return work.kind === 'training' ? trainingDataset(work.params) : null
}

/** Files that the runner fetches before the program starts. */
export function inputsOf(work: Work): { name: string; url: string; sha256: string | null }[] {
  if (work.kind === 'backtest') return backtestInputs(work.params)
  return work.kind === 'training' ? trainingInputs(work.params) : []
}

/** Equal for work whose durations foretell each other. */
export function signatureOf(work: Work, part: Part): string {
  if (work.kind === 'backtest') return backtestSignature(work.params, part)
  return work.kind === 'training' ? trainingSignature(work.params) : customSignature(work.params)
}

/** Seconds that it should run, by offer; null: nobody can tell. */
export function secondsOf(
  work: Work,
  part: Part,
  rows: number | null,
): ((offer: Pick<Offer, 'cpu'>) => number) | null {
  if (work.kind === 'backtest') return backtestSeconds(work.params, part, rows)
  return work.kind === 'training' ? trainingSeconds(work.params, rows) : null
}
