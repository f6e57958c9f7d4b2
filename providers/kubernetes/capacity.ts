// What the nodes of a cluster offer: parts of nodes with a price, how many there are and how many are free. Pure.
import type { V1Container, V1Node, V1Pod } from '@kubernetes/client-node'
import type { Device, Offer } from '../provider.ts'
import type { PodSettings, Prices } from './options.ts'
import { inUnits } from './quantity.ts'
import { gpuResource, isSpot, productLabel, type Shape, shapeId } from './shape.ts'

export interface Seen {
  nodes: readonly V1Node[]
  /** What else runs, of all namespaces; null: the account may not see it, and nobody knows what is free. */
  pods: readonly V1Pod[] | null
}
export interface Place {
  provider: string
  account: string
  region: string
  prices: Prices
}

const gib = 1024 ** 3
const mib = 1024 ** 2
const gpuResources = /^nvidia\.com\/(gpu|gpu\.shared|mig-[\w.-]{1,40})$/

/** Amounts by resource, in CPUs, bytes and pieces. */
type Amounts = Record<string, number>
interface NodeView {
  labels: Record<string, string>
  /** For work: what the node's own agents take is not in it. */
  room: Amounts
  free: Amounts | null
}

export function offersOf(seen: Seen, place: Place): Offer[] {
  const views = viewsOf(seen)
  const shapes = new Map<string, { shape: Shape; gpu: Offer['gpu']; disk_gib: number; views: NodeView[] }>()
  for (const view of views)
    for (const { shape, gpu, disk_gib } of partsOf(view)) {
      const key = `${shapeId(shape)} ${shape.spot}`
      const known = shapes.get(key) ?? { shape, gpu, disk_gib, views: [] }
      known.views.push(view)
      known.disk_gib = Math.min(known.disk_gib, disk_gib)
      shapes.set(key, known)
    }
  return [...shapes.values()].flatMap(({ shape, gpu, disk_gib, views: on }) => {
    const usd_per_hour = priceOf(shape, gpu, place.prices)
    if (usd_per_hour === null) return []
    const sum = (amounts: (view: NodeView) => Amounts) =>
      on.reduce((all, view) => all + timesIn(amounts(view), shape), 0)
    const isKnown = on.every(({ free }) => free !== null)
    return {
      id: shapeId(shape),
      provider: place.provider,
      account: place.account,
      region: place.region,
      spot: shape.spot,
      usd_per_hour,
      gpu,
      cpu: shape.cpu,
      memory_gib: shape.memory_gib,
      disk_gib,
      available: isKnown ? sum(({ free }) => free ?? {}) : null,
      slots: sum(({ room }) => room),
      price: { source: place.prices.source ?? "the account's prices", at: place.prices.at ?? null },
    }
  })
}

/**
 * The GPUs of the nodes, each once: as those of the smallest part of a node, of which the larger ones are made. With what labels
 * tell of their drivers.
 */
export function devicesOf(offers: readonly Offer[], nodes: readonly V1Node[]): Device[] {
  const withGpu = offers.filter(({ gpu, spot }) => gpu && !spot)
  return [...Map.groupBy(withGpu, kindOf).values()].flatMap((parts) => {
    const [smallest] = parts.toSorted((a, b) => (a.gpu?.count ?? 0) - (b.gpu?.count ?? 0))
    if (!smallest?.gpu) return []
    const { id, region, gpu, slots } = smallest
    const product = id.split(':')[0]
    const labels = nodes.find(({ metadata }) => metadata?.labels?.[productLabel] === product)?.metadata
      ?.labels
    const driver = labels?.['nvidia.com/cuda.driver-version.full'] ?? versionOf(labels, 'driver')
    const cuda = labels?.['nvidia.com/cuda.runtime-version.full'] ?? versionOf(labels, 'runtime')
    return Array.from({ length: (slots ?? 0) * gpu.count }, (_, index) => ({
      offer: id,
      region,
      index,
      memory_used_gib: null,
      utilization: null,
      temperature_c: null,
      power_w: null,
      driver,
      cuda,
    }))
  })
}

/** Model and resource: "NVIDIA-H100-80GB-HBM3:gpu". */
const kindOf = ({ id }: Offer): string => id.split(':').slice(0, 2).join(':')

/** Older versions of the discovery say the parts alone. */
function versionOf(labels: Record<string, string> = {}, of: string): string | null {
  const parts = ['major', 'minor', 'rev'].flatMap((part) => labels[`nvidia.com/cuda.${of}.${part}`] || [])
  return parts.length > 0 ? parts.join('.') : null
}

/** GPUs that nothing says the model of. */
export const isUnnamed = (node: V1Node): boolean =>
  !node.metadata?.labels?.[productLabel] &&
  Object.entries(node.status?.allocatable ?? {}).some(
    ([name, count]) => gpuResources.test(name) && count !== '0',
  )

function viewsOf({ nodes, pods }: Seen): NodeView[] {
  const byNode = pods && Map.groupBy(pods, (pod) => pod.spec?.nodeName ?? '')
  return nodes
    .filter((node) => isUsable(node) && !isUnnamed(node))
    .map((node) => {
      const allocatable = amountsOf(node.status?.allocatable)
      const on = (byNode?.get(node.metadata?.name ?? '') ?? []).filter(isHolding)
      const room = minus(allocatable, on.filter(isOfNode))
      return { labels: node.metadata?.labels ?? {}, room, free: byNode && minus(allocatable, on) }
    })
}

function isUsable({ spec, status }: V1Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  return ready?.status === 'True' && !spec?.unschedulable
}

/** Whether the account's pods may go to a node, as far as its labels and taints say. */
export function nodesOf({ node_selector = {}, tolerations = [] }: PodSettings = {}): (
  node: V1Node,
) => boolean {
  const wanted = Object.entries(node_selector)
  return ({ metadata, spec }) =>
    wanted.every(([label, value]) => metadata?.labels?.[label] === value) &&
    (spec?.taints ?? []).every(
      (taint) =>
        taint.effect === 'PreferNoSchedule' ||
        taint.key === gpuResource ||
        tolerations.some(
          ({ key, operator = 'Equal', value = '', effect }) =>
            (!key || key === taint.key) &&
            (!effect || effect === taint.effect) &&
            (operator === 'Exists' || value === (taint.value ?? '')),
        ),
    )
}

export const isHolding = ({ status }: V1Pod): boolean =>
  status?.phase !== 'Succeeded' && status?.phase !== 'Failed'

/** Of a DaemonSet, or started by the node itself: there as long as the node is. */
const isOfNode = ({ metadata }: V1Pod): boolean =>
  (metadata?.ownerReferences ?? []).some(({ kind }) => kind === 'DaemonSet' || kind === 'Node')

function minus(amounts: Amounts, pods: readonly V1Pod[]): Amounts {
  const left: Amounts = { ...amounts, pods: (amounts['pods'] ?? 0) - pods.length }
  for (const pod of pods)
    for (const [name, amount] of Object.entries(requestsOf(pod))) left[name] = (left[name] ?? 0) - amount
  return left
}

/** What the scheduler counts: containers, or the largest that runs before them. */
function requestsOf({ spec }: V1Pod): Amounts {
  const sum = amountsOf(spec?.overhead)
  for (const each of (spec?.containers ?? []).map(requestOf))
    for (const [name, amount] of Object.entries(each)) sum[name] = (sum[name] ?? 0) + amount
  for (const each of (spec?.initContainers ?? []).map(requestOf))
    for (const [name, amount] of Object.entries(each)) sum[name] = Math.max(sum[name] ?? 0, amount)
  return sum
}

const requestOf = ({ resources }: V1Container): Amounts => amountsOf(resources?.requests)

const amountsOf = (texts: Readonly<Record<string, string>> = {}): Amounts =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, inUnits(text)]))

/** The node and smaller parts of it: what is asked for should cost about what it takes. */
function partsOf({ labels, room }: NodeView): { shape: Shape; gpu: Offer['gpu']; disk_gib: number }[] {
  const spot = isSpot(labels)
  const product = labels[productLabel] ?? null
  const [cpu, memory_gib] = [room['cpu'] ?? 0, (room['memory'] ?? 0) / gib]
  const disk_gib = Math.floor((room['ephemeral-storage'] ?? 0) / gib)
  const part = (share: number, gpus: number, resource: string | null, gpu: Offer['gpu']) => ({
    shape: {
      product,
      resource,
      gpus,
      cpu: Math.floor(cpu * share),
      memory_gib: Math.floor(memory_gib * share),
      spot,
    },
    gpu,
    disk_gib: Math.floor(disk_gib * share),
  })
  const parts = product
    ? Object.keys(room)
        .filter((name) => gpuResources.test(name) && (room[name] ?? 0) >= 1)
        .flatMap((resource) => {
          const most = room[resource] ?? 0
          return sizesOf(most).map((count) =>
            part(count / most, count, resource, gpuOf(labels, product, resource, count)),
          )
        })
    : sizesOf(Math.floor(cpu)).map((count) => part(count / Math.max(cpu, 1), 0, null, null))
  return parts.filter(({ shape }) => shape.cpu >= 1 && shape.memory_gib >= 1)
}

/** All of it, and the powers of two below. */
function sizesOf(most: number): number[] {
  const sizes = most >= 1 ? [most] : []
  for (let size = 1; size < most; size *= 2) sizes.push(size)
  return sizes
}

function gpuOf(
  labels: Record<string, string>,
  product: string,
  resource: string,
  count: number,
): Offer['gpu'] {
  const mig = /mig-(.+)$/.exec(resource)?.[1]
  const told = labels[`${resource}.memory`] ?? labels['nvidia.com/gpu.memory']
  const [major, minor] = [labels['nvidia.com/gpu.compute.major'], labels['nvidia.com/gpu.compute.minor']]
  // A slice says its memory in its name too: 1g.10gb.
  const named_gib = Number(/\.(\d+)gb/.exec(mig ?? '')?.[1] ?? 0)
  const memory_gib = Number(told) > 0 ? Math.round((Number(told) * mib * 100) / gib) / 100 : named_gib
  return {
    model: modelOf(product) + (mig ? ` MIG ${mig}` : ''),
    count,
    memory_gib: mig && named_gib > 0 && !labels[`${resource}.memory`] ? named_gib : memory_gib,
    compute_capability: major && minor ? `${major}.${minor}` : null,
  }
}

/** As nvidia-smi names it, without the maker: "NVIDIA-GeForce-RTX-4090-SHARED" is an "RTX 4090". */
export const modelOf = (product: string): string =>
  product
    .replace(/^NVIDIA-/, '')
    .replace(/^(GeForce|Tesla)-/, '')
    .replace(/-SHARED$/, '')
    .replaceAll('-', ' ')

const timesIn = (amounts: Amounts, { resource, gpus, cpu, memory_gib }: Shape): number => {
  const times = [
    (amounts['cpu'] ?? 0) / cpu,
    (amounts['memory'] ?? 0) / (memory_gib * gib),
    amounts['pods'] ?? 0,
    ...(resource ? [(amounts[resource] ?? 0) / gpus] : []),
  ]
  return Math.max(0, Math.floor(Math.min(...times) + 1e-9))
}

/** null: nobody has said what this GPU costs. */
function priceOf(
  { cpu }: Shape,
  gpu: Offer['gpu'],
  { gpu_usd_per_hour, cpu_usd_per_hour }: Prices,
): number | null {
  const each = gpu ? gpuPriceOf(gpu.model, gpu_usd_per_hour) : 0
  return each === null ? null : Math.round((each * (gpu?.count ?? 0) + cpu * cpu_usd_per_hour) * 1e6) / 1e6
}

/** The name of most words that are all in the model's. */
export function gpuPriceOf(model: string, prices: Prices['gpu_usd_per_hour']): number | null {
  const words = (name: string) =>
    name
      .toLowerCase()
      .split(/[^a-z0-9.]+/)
      .filter(Boolean)
  const has = new Set(words(model))
  const fitting = Object.keys(prices)
    .filter((name) => name !== '*' && words(name).every((word) => has.has(word)))
    .sort((a, b) => words(b).length - words(a).length)
  return prices[fitting[0] ?? '*'] ?? null
}
