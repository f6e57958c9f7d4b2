// Offers of node pools: parts of nodes at the price of their instances, as many as the pool may have. Pure.
import { priced, rateOf } from '../money.ts'
import type { Offer, Price } from '../provider.ts'
import type { InstanceTypeQuotaItem, NodePool } from './api.ts'
import type { FamilyGpu, PoolSettings, TencentProviderOptions } from './options.ts'
import { divisionsOf, gpuOfFamily, partId, roomOf } from './shape.ts'

export type Charge = 'POSTPAID_BY_HOUR' | 'SPOTPAID' | 'PREPAID'

/** A pool as far as offers need it. */
export interface Pool {
  id: string
  types: readonly string[]
  charge: Charge
  spot: boolean
  /** Most nodes it may have. */
  most: number
  /** Nodes that it may still get. */
  growth: number
  ready: number
  disk: { DiskType: string; DiskSize: number } | null
}

/** Price and stock of an instance type. */
export interface Priced {
  type: string
  charge: Charge
  cpu: number
  memory_gib: number
  gpus: number
  /** null: the vendor says none. */
  cny_per_hour: number | null
  source: string
  /** Some zone of the account's sells it. */
  sells: boolean
  /** Where it is sold, else anywhere that it is known. */
  zone: string
}

/** What a month is billed for is spread over this many hours. */
const month_h = 730
/** Of the system disk, for what the node itself keeps: system, kubelet, the images of its agents. */
const system_gib = 20
/** Where the disk is not told: TKE's default. */
const disk_gib = 50

export function poolsOf(pools: readonly NodePool[], settings: readonly PoolSettings[] | undefined): Pool[] {
  return pools.flatMap((pool) => {
    const own = settings?.find(({ id }) => id === pool.NodePoolId)
    if ((settings && !own) || !isOpen(pool)) return []
    const found = pool.Native ? nativeOf(pool) : regularOf(pool)
    const types = own?.instance_types ?? pool.Native?.InstanceTypes ?? []
    if (found === null || types.length === 0) return []
    const spot = own?.spot ?? false
    const charge = spot ? 'SPOTPAID' : chargeOf(pool.Native?.InstanceChargeType)
    return [{ id: pool.NodePoolId, types, charge, spot, ...found }]
  })
}

const isOpen = ({ Unschedulable, LifeState = '' }: NodePool): boolean =>
  !Unschedulable && !/delet|creat/i.test(LifeState)

const chargeOf = (charge: string | undefined): Charge =>
  charge === 'PREPAID' ? 'PREPAID' : 'POSTPAID_BY_HOUR'

function nativeOf({ Native }: NodePool): Pick<Pool, 'most' | 'growth' | 'ready' | 'disk'> {
  const { EnableAutoscaling = false, Replicas = 0, ReadyReplicas = 0, Scaling, SystemDisk } = Native ?? {}
  const most = EnableAutoscaling ? Math.max(Scaling?.MaxReplicas ?? 0, Replicas) : Replicas
  return { most, growth: most - Replicas, ready: ReadyReplicas, disk: SystemDisk ?? null }
}

function regularOf({ Regular }: NodePool): Pick<Pool, 'most' | 'growth' | 'ready' | 'disk'> | null {
  if (!Regular) return null
  const { MaxNodesNum: most = 0, DesiredNodesNum = 0, NodeCountSummary } = Regular
  const ready = NodeCountSummary?.AutoscalingAdded?.Normal ?? 0
  return {
    most: Math.max(most, DesiredNodesNum),
    growth: Math.max(0, most - DesiredNodesNum),
    ready,
    disk: null,
  }
}

/** One row a type: the cheapest zone that sells it. */
export function pricedOf(items: readonly InstanceTypeQuotaItem[], charge: Charge): Priced[] {
  const rows = items
    .filter(({ InstanceChargeType }) => InstanceChargeType === charge)
    .map((item) => ({
      type: item.InstanceType ?? '',
      charge,
      cpu: item.Cpu ?? 0,
      memory_gib: item.Memory ?? 0,
      // A part of a card (vGPU) needs a driver and a licence of its own, and is not offered.
      gpus: Number.isInteger(item.GpuCount) ? (item.GpuCount ?? 0) : -1,
      cny_per_hour: listPriceOf(item, charge),
      source: 'CVM list price',
      sells: item.Status === 'SELL' && item.StatusCategory !== 'WithoutStock',
      zone: item.Zone ?? '',
    }))
    .toSorted(
      (a, b) =>
        Number(b.sells) - Number(a.sells) || (a.cny_per_hour ?? Infinity) - (b.cny_per_hour ?? Infinity),
    )
  return [...Map.groupBy(rows, ({ type }) => type).values()].flatMap(([first]) => first ?? [])
}

function listPriceOf({ Price }: InstanceTypeQuotaItem, charge: Charge): number | null {
  if (charge !== 'PREPAID') return Price?.UnitPriceDiscount ?? Price?.UnitPrice ?? null
  const month = Price?.DiscountPrice ?? Price?.OriginalPrice
  return month === undefined ? null : month / month_h
}

/** What cannot be priced is not offered. */
export function offersOf(
  pools: readonly Pool[],
  priced: readonly Priced[],
  options: Pick<TencentProviderOptions, 'account' | 'region' | 'cny_per_usd' | 'gpus'>,
  at: string,
): Offer[] {
  return pools.flatMap((pool) =>
    pool.types.flatMap((type) => {
      const row = priced.find((each) => each.type === type && each.charge === pool.charge)
      if (!row || row.cny_per_hour === null || row.gpus < 0) return []
      const card = row.gpus > 0 ? gpuOfFamily(type, options.gpus) : null
      return partsOf(pool, row, { ...options, cny_per_hour: row.cny_per_hour, card, at })
    }),
  )
}

function partsOf(
  pool: Pool,
  row: Priced,
  given: Pick<TencentProviderOptions, 'account' | 'region' | 'cny_per_usd'> & {
    cny_per_hour: number
    card: FamilyGpu | null
    at: string
  },
): Offer[] {
  const { account, region, cny_per_usd, cny_per_hour, card, at } = given
  const room = roomOf(row)
  const isGrowing = pool.growth > 0 && row.sells
  const disk = Math.max(1, (pool.disk?.DiskSize ?? disk_gib) - system_gib)
  return divisionsOf(row.gpus, room).map((of) => ({
    id: partId({ pool: pool.id, type: row.type, of, mixed: pool.types.length > 1 }),
    provider: 'tencent',
    account,
    region,
    spot: pool.spot,
    ...inUsd(cny_per_usd, cny_per_hour / of, { source: row.source, at, live: true }),
    gpu: card && { ...card, count: row.gpus / of },
    cpu: Math.floor(room.cpu / of),
    memory_gib: Math.floor(room.memory_gib / of),
    disk_gib: Math.floor(disk / of),
    // Its nodes may be free or not, and it may get more: only a pool that has none and gets none is known to be out.
    available: isGrowing || pool.ready > 0 ? null : 0,
    slots: pool.most * of,
  }))
}

/** A rate of 1 says that the account is billed in USD. */
export const inUsd = (
  cny_per_usd: TencentProviderOptions['cny_per_usd'],
  per_hour: number,
  of: Pick<Price, 'source' | 'at' | 'live'>,
): Pick<Offer, 'usd_per_hour' | 'price'> =>
  priced({ currency: cny_per_usd === 1 ? 'USD' : 'CNY', per_hour, rate: rateOf(cny_per_usd) }, of)
