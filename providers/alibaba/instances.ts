// What ECS knows of instances, and what an observation makes of it.
import type { Handle, Observation, Ref } from '../provider.ts'
import { type Api, pagesOf } from './api.ts'
import type { AlibabaProviderOptions } from './options.ts'

/** Keys may hold neither `aliyun` nor `acs:` at their beginning. */
export const tags = {
  installation: 'berth:installation',
  attempt: 'berth:attempt',
  /** For who lists an instance that no row knows of. */
  price: 'berth:usd-per-hour',
} as const

/** As the SDK names the fields of DescribeInstances. */
export interface Instance {
  instanceId?: string
  instanceName?: string
  /** https://help.aliyun.com/document_detail/25506.html lists them all. */
  status?: string
  creationTime?: string
  operationLocks?: { lockReason?: { lockReason?: string }[] }
  tags?: { tag?: { tagKey?: string; tagValue?: string }[] }
}

type Asker = { api: Api; options: AlibabaProviderOptions }
type InstancePage = { nextToken?: string; instances?: { instance?: Instance[] } }
type EventPage = {
  nextToken?: string
  instanceSystemEventSet?: { instanceSystemEventType?: { eventId?: string; instanceId?: string }[] }
}

/** The most of one page, and of one list of ids. */
export const page_size = 100

export const tagOf = ({ tags: told }: Instance, key: string): string | undefined =>
  told?.tag?.find(({ tagKey }) => tagKey === key)?.tagValue

/** Which instances of ours a call is about; null: all. */
export async function instancesOf(
  { api, options }: Asker,
  which: { ids: readonly string[] } | { name: string } | null,
  signal: AbortSignal,
): Promise<Instance[]> {
  const { region: regionId, installation } = options
  // By name and not by tag: a filter by tag finds no more than 1,000.
  const filter =
    which && 'ids' in which
      ? { instanceIds: JSON.stringify(which.ids) }
      : { instanceName: which ? which.name : `${prefixOf(installation)}*` }
  const found = await pagesOf(
    (nextToken) =>
      api.call<InstancePage>(
        'DescribeInstances',
        { regionId, ...filter, maxResults: page_size, ...(nextToken && { nextToken }) },
        signal,
      ),
    ({ instances }) => instances?.instance,
    ({ instanceId }) => instanceId,
  )
  // What is asked for by its id is ours, whatever somebody has made of its tags.
  if (which && 'ids' in which) return found
  return found.filter((each) => tagOf(each, tags.installation) === installation)
}

export const prefixOf = (installation: string): string => `berth-${installation.slice(0, 6)}-`

/** One call for those with handles, one list for the others, and one look at what became of those that are missing. */
export async function observe(
  asker: Asker,
  refs: readonly Ref[],
  signal: AbortSignal,
): Promise<Observation[]> {
  const ids = refs.flatMap(({ handle }) => (handle && idOf(handle)) || [])
  const names = refs.flatMap(({ handle, request }) => (handle || !request ? [] : [request.name]))
  const byId = new Map<string, Instance>()
  const byName = new Map<string, Instance>()
  for (let at = 0; at < ids.length; at += page_size)
    for (const each of await instancesOf(asker, { ids: ids.slice(at, at + page_size) }, signal))
      byId.set(each.instanceId ?? '', each)
  if (names.length > 0) {
    const which = names.length === 1 && names[0] ? { name: names[0] } : null
    for (const each of await instancesOf(asker, which, signal)) byName.set(each.instanceName ?? '', each)
  }
  const missing = ids.filter((id) => !byId.has(id))
  const failed = missing.length > 0 ? await failedCreations(asker, missing, signal) : new Set<string>()
  return refs.map(({ handle, request }) => {
    const id = handle && idOf(handle)
    const instance = id === null ? byName.get(request?.name ?? '') : byId.get(id)
    if (instance) return observationOf(instance)
    if (id === '') return { state: 'unseen', detail: 'it is no instance: leftovers are listed alone' }
    return id !== null && failed.has(id)
      ? { state: 'gone', detail: 'ECS gave up making it (SystemFailure.Delete)', reason: 'capacity' }
      : { state: 'gone', detail: null }
  })
}

/** Empty for what is no instance. */
export const idOf = ({ instance }: Handle): string => (typeof instance === 'string' ? instance : '')

/** Those that never came up, and were taken away again. https://help.aliyun.com/document_detail/66574.html */
async function failedCreations(
  { api, options }: Asker,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Set<string>> {
  const failed = new Set<string>()
  for (let at = 0; at < ids.length; at += page_size) {
    const request = {
      regionId: options.region,
      resourceType: 'instance',
      resourceId: ids.slice(at, at + page_size),
      instanceEventType: ['SystemFailure.Delete'],
      maxResults: page_size,
    }
    const events = await pagesOf(
      (nextToken) =>
        api.call<EventPage>(
          'DescribeInstanceHistoryEvents',
          { ...request, ...(nextToken && { nextToken }) },
          signal,
        ),
      ({ instanceSystemEventSet }) => instanceSystemEventSet?.instanceSystemEventType,
      ({ eventId }) => eventId,
    )
    for (const { instanceId } of events) if (instanceId) failed.add(instanceId)
  }
  return failed
}

const lockOf = ({ operationLocks }: Instance): string | null =>
  operationLocks?.lockReason?.[0]?.lockReason ?? null

export function observationOf(instance: Instance): Observation {
  const [lock, { status = '' }] = [lockOf(instance), instance]
  // Runs on for about five minutes, and is billed: https://help.aliyun.com/document_detail/391181.html
  const reason = lock === 'Recycling' ? 'preempted' : null
  const detail = reason ? 'it is being taken back' : lock && `locked by ECS: ${lock}`
  switch (status) {
    case 'Pending':
    case 'Starting':
      return { state: 'pending', detail: detail ?? status }
    case 'Running':
      return { state: 'running', detail, reason }
    // Until it is released it is billed.
    case 'Stopping':
      return { state: 'running', detail: detail ?? status, reason }
    // Its own system has ended; an exit code comes from the runner alone.
    case 'Stopped':
      return {
        state: 'exited',
        exit_code: null,
        detail: detail ?? 'Stopped, and not released',
        reason,
        is_billed: true,
      }
    default:
      return { state: 'unseen', detail: `a status that is not known: ${status.slice(0, 40)}` }
  }
}
