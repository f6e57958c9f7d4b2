// How an offer is named, and what GPUs an instance type has. Pure.
import { gpuNamed } from '../gpus.ts'
import type { Offer } from '../provider.ts'
import type { TypeGpu } from './options.ts'

export interface Shape {
  /** `ecs.gn7i-c8g1.2xlarge` */
  type: string
  zone: string
  /** Most that is paid an hour, in the currency of the account; null: on demand. */
  bid: number | null
}

/**
 * `ecs.gn7i-c8g1.2xlarge/cn-hangzhou-i`, and `...:9.876` with the bid: a launch is made of its stored request alone, and the same at
 * every repeat, whatever the price is by then.
 */
export const shapeId = ({ type, zone, bid }: Shape): string =>
  `${type}/${zone}${bid === null ? '' : `:${bid}`}`

export function shapeOf({ id, spot }: Pick<Offer, 'id' | 'spot'>): Shape | null {
  const [, type = '', zone = '', bid] =
    /^(ecs\.[\w.-]{1,60})\/([a-z0-9-]{1,40})(?::(\d{1,6}(?:\.\d{1,3})?))?$/.exec(id) ?? []
  if (type === '' || (bid !== undefined) !== spot) return null
  return { type, zone, bid: bid === undefined ? null : Number(bid) }
}

/** SpotPriceLimit takes three decimals. */
export const bidOf = (price_per_hour: number, multiple: number): number =>
  Math.ceil(price_per_hour * multiple * 1_000) / 1_000

/** As DescribeInstanceTypes tells it. */
export interface InstanceType {
  instanceTypeId?: string
  cpuCoreCount?: number
  /** GiB */
  memorySize?: number
  GPUAmount?: number
  /** `NVIDIA A10`, `NVIDIA V100`; empty without one. */
  GPUSpec?: string
  /** GiB of each GPU */
  GPUMemorySize?: number
}

/** undefined: it has a part of a GPU, or how many it has is not told, and is not offered. */
export function gpuOf(
  { instanceTypeId = '', GPUAmount = 0, GPUSpec = '', GPUMemorySize = 0 }: InstanceType,
  own: Readonly<Record<string, TypeGpu>> = {},
): Offer['gpu'] | undefined {
  if (GPUSpec === '' && GPUAmount === 0) return null
  if (!Number.isInteger(GPUAmount) || GPUAmount < 1) return undefined
  const named = own[instanceTypeId]
  if (named) return { ...named, count: GPUAmount }
  const spec = GPUSpec.trim()
  // `NVIDIA T4/8` is the eighth part of a card (vGPU), which needs a driver and a licence of its own.
  if (spec === '' || spec.includes('/')) return undefined
  const known = gpuNamed(spec)
  return {
    model: known ? spec.replace(/^(NVIDIA )?(Tesla )?/, '') : spec,
    count: GPUAmount,
    // 0: not told.
    memory_gib: Math.max(0, GPUMemorySize),
    compute_capability: known?.compute_capability ?? null,
  }
}
