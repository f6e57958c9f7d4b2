// How a job is cut into shards, and what one of them asks for and may cost. Pure.
import type { Offer } from '../providers/provider.ts'
import { usdToMicros } from './cost.ts'
import type { JobSpec } from './spec.ts'

export type Role = 'work' | 'merge'
/** Which part of a job's work a shard is. */
export interface Part {
  role: Role
  /** Work shards of the job. */
  of: number
}
export const whole: Part = { role: 'work', of: 1 }

export type DeviceClass = 'cpu' | 'cuda'
export const classOf = ({ gpu }: Pick<Offer, 'gpu'>): DeviceClass => (gpu ? 'cuda' : 'cpu')

/** Work shards of a sweep that names no bound. */
const usualMost = 8
/** A shard shorter than this, or than its machine's start, costs more than it saves. */
const leastRun_s = 60

/**
 * Work shards of a job: as many as each has a minute of work and more than its machine's start, at most one a point
 * and `parallelism.max_shards`. `run_s` null: nobody can tell, so it is as many as the job names.
 */
export function shardCount(
  { parallelism }: Pick<JobSpec, 'parallelism'>,
  points: number,
  expected: { run_s: number; boot_s: number } | null,
): number {
  if (points <= 1) return 1
  const most = Math.min(points, parallelism.max_shards ?? (expected ? usualMost : 1))
  if (!expected) return most
  const least_s = Math.max(leastRun_s, expected.boot_s)
  return Math.max(1, Math.min(most, Math.floor(expected.run_s / least_s)))
}

/** A job as its shards see it. */
interface Cut {
  spec: JobSpec
  shards_total: number
  device_class: DeviceClass | null
}

/**
 * The spec as a shard is placed by it. All work shards run on one class of device, fixed by the first launch, so that
 * their results can be joined; joining needs no GPU.
 */
export function shardSpec({ spec, shards_total, device_class }: Cut, role: Role): JobSpec {
  const { resources } = spec
  if (role === 'merge') return { ...spec, resources: { ...resources, device: 'auto', gpu: null } }
  if (shards_total === 1 || device_class === null || resources.device !== 'auto') return spec
  return { ...spec, resources: { ...resources, device: device_class } }
}

/** Share of a job's budget that its work shards leave for the merge after them. */
const mergeShare = 0.05

export interface Money {
  /** Micro-dollars that a job has cost up to now. */
  spent_micros: number
  /** With what its open attempts may still cost. */
  committed_micros: number
}
export const noMoney: Money = { spent_micros: 0, committed_micros: 0 }

/**
 * What the next attempt of a shard may cost: of what is left of the job's budget an equal share for each shard that
 * waits, so that all of them together keep it. null: no bound.
 */
export function allowance(
  { spec, shards_total, shards_waiting }: { spec: JobSpec; shards_total: number; shards_waiting: number },
  role: Role,
  { committed_micros }: Money,
): number | null {
  if (spec.budget_usd === undefined) return null
  const budget_micros = usdToMicros(spec.budget_usd)
  if (role === 'merge') return budget_micros - committed_micros
  const kept_micros = shards_total > 1 ? Math.floor(budget_micros * mergeShare) : 0
  return Math.floor((budget_micros - kept_micros - committed_micros) / Math.max(1, shards_waiting))
}
