// Machines of the fake ECS: what they are at a time, what they cost, and how the API tells of them.
// Times of a start and an end are of the order that a live region shows; documents name none.
import { Refused } from './alibaba-answers.ts'
import { tagsOf } from './alibaba-request.ts'

const pending_ms = 4_000
const starting_ms = 16_000
export const stopping_ms = 3_000
/** https://help.aliyun.com/document_detail/391181.html, and the SDK on SpotDuration: five minutes from the notice to the release. */
const reclaim_ms = 300_000
/** A creation that fails is taken away by ECS itself, with an event. */
export const fails_ms = 30_000

export interface FakeInstance {
  id: string
  name: string
  type: string
  zone: string
  tags: Map<string, string>
  user_data: string
  /** What its serial console shows. */
  console: string
  parameters: ReadonlyMap<string, string>
  created_ms: number
  /** From when on reads show it. */
  shown_ms: number
  release_ms: number
  /** When its own system was shut down. */
  down_ms: number | null
  reclaimed_ms: number | null
  fails: boolean
  /** When it is released, and its bill ends. */
  gone_ms: number | null
}

export interface Leftover {
  id: string
  tags: Map<string, string>
  created_ms: number
}

export interface FakeType {
  cpu: number
  memory_gib: number
  gpu?: { spec: string; count: number; memory_gib: number }
  /** An hour on demand, and of the market. */
  price: number
  spot: number
}

/** Seconds are cut off. */
export const minuteOf = (text: string): number =>
  text === '' ? Infinity : Math.floor(Date.parse(text) / 60_000) * 60_000

/** When it goes, of whatever it goes first. */
export function goneAt({ gone_ms, release_ms, reclaimed_ms }: FakeInstance): number {
  return Math.min(
    gone_ms ?? Infinity,
    release_ms,
    reclaimed_ms === null ? Infinity : reclaimed_ms + reclaim_ms,
  )
}
export const isGone = (instance: FakeInstance, now_ms: number): boolean => now_ms >= goneAt(instance)

export function statusOf(instance: FakeInstance, now_ms: number): string {
  const { created_ms, down_ms, gone_ms, fails } = instance
  if (now_ms < created_ms + pending_ms || fails) return 'Pending'
  if (gone_ms !== null) return 'Stopping'
  if (down_ms !== null) return now_ms < down_ms + stopping_ms ? 'Stopping' : 'Stopped'
  return now_ms < created_ms + starting_ms ? 'Starting' : 'Running'
}

/** Seconds, as https://help.aliyun.com/document_detail/52088.html bills them, to the release; a creation that failed is not billed. */
export function billOf(instance: FakeInstance, now_ms: number): number {
  return instance.fails ? 0 : Math.max(0, Math.min(now_ms, goneAt(instance)) - instance.created_ms) / 1_000
}

export function hasTags(tags: Map<string, string>, parameters: ReadonlyMap<string, string>): boolean {
  return [...tagsOf(parameters)].every(([name, value]) => tags.get(name) === value)
}

/** As DescribeInstances writes a time: without seconds. */
const shortTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16)}Z`
const tagView = (tags: Map<string, string>) => ({
  // A request says Key and Value, an answer TagKey and TagValue.
  Tag: [...tags].map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
})

export function instanceView(instance: FakeInstance, RegionId: string, now_ms: number): object {
  const { id, name, type, zone, tags, created_ms, release_ms, reclaimed_ms, parameters } = instance
  return {
    InstanceId: id,
    InstanceName: name,
    InstanceType: type,
    RegionId,
    ZoneId: zone,
    Status: statusOf(instance, now_ms),
    CreationTime: shortTime(created_ms),
    AutoReleaseTime: release_ms === Infinity ? '' : shortTime(release_ms),
    SpotStrategy: parameters.get('SpotStrategy') ?? 'NoSpot',
    OperationLocks: { LockReason: reclaimed_ms === null ? [] : [{ LockReason: 'Recycling' }] },
    Tags: tagView(tags),
  }
}

export function typeView([InstanceTypeId, { cpu, memory_gib, gpu }]: [string, FakeType]): object {
  return {
    InstanceTypeId,
    CpuCoreCount: cpu,
    MemorySize: memory_gib,
    GPUAmount: gpu?.count ?? 0,
    GPUSpec: gpu?.spec ?? '',
    GPUMemorySize: gpu?.memory_gib ?? 0,
  }
}

export function leftovers(
  all: Map<string, Leftover>,
  parameters: ReadonlyMap<string, string>,
  name: string,
): object[] {
  if (parameters.get('Status') !== 'Available') throw new Refused('InvalidParameter')
  return [...all.values()]
    .filter(({ tags }) => hasTags(tags, parameters))
    .map(({ id, tags, created_ms }) => ({
      [name]: id,
      Status: 'Available',
      CreationTime: new Date(created_ms).toISOString(),
      Tags: tagView(tags),
    }))
}
