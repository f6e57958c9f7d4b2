// How an offer is named, and what GPUs an instance type has. Pure.
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

/** By model, as NVIDIA's data sheets have it. https://developer.nvidia.com/cuda-gpus */
const capabilities: Readonly<Record<string, string>> = {
  P4: '6.1',
  P100: '6.0',
  T4: '7.5',
  V100: '7.0',
  A10: '8.6',
  A30: '8.0',
  A100: '8.0',
  A800: '8.0',
  L20: '8.9',
  L4: '8.9',
  L40S: '8.9',
  H20: '9.0',
  H100: '9.0',
  H800: '9.0',
  H200: '9.0',
}

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

/** undefined: it has a GPU that cannot be told, or a part of one, and is not offered. */
export function gpuOf(
  { instanceTypeId = '', GPUAmount = 0, GPUSpec = '', GPUMemorySize = 0 }: InstanceType,
  own: Readonly<Record<string, TypeGpu>> = {},
): Offer['gpu'] | undefined {
  if (GPUSpec === '' && GPUAmount === 0) return null
  const named = own[instanceTypeId]
  // `NVIDIA T4/8` is the eighth part of a card (vGPU), which needs a driver and a licence of its own.
  const model = /^(?:NVIDIA )?(?:Tesla )?([A-Z]\d{1,3}[A-Z]?)$/.exec(GPUSpec.trim())?.[1]
  if (!Number.isInteger(GPUAmount) || GPUAmount < 1) return undefined
  if (named) return { ...named, count: GPUAmount }
  if (!model || GPUMemorySize <= 0) return undefined
  return {
    model,
    count: GPUAmount,
    memory_gib: GPUMemorySize,
    compute_capability: capabilities[model] ?? null,
  }
}
