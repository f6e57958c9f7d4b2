// Runs attempts on node pools of a Tencent TKE cluster. Tencent's APIs tell where the cluster is, what its pools may have and
// what nodes cost; the work itself runs as Jobs, by the adapter of Kubernetes.
import type { V1Job, V1NodeSelectorRequirement } from '@kubernetes/client-node'
import type { ProviderError } from '../errors.ts'
import { createKubernetesProvider } from '../kubernetes/kubernetes.ts'
import { askParts, callOfPart, type OfPart } from '../parts.ts'
import type { Check, LaunchRequest, MissingPart, Offer, Provider } from '../provider.ts'
import {
  type Api,
  clusterState,
  endpointOf,
  instanceTypes,
  kubeconfigOf,
  nodePools,
  openApi,
  quotedPrice,
} from './api.ts'
import { failure } from './errors.ts'
import { type Charge, offersOf, type Pool, poolsOf, type Priced, pricedOf } from './offers.ts'
import type { TencentProviderOptions } from './options.ts'
import { partOf } from './shape.ts'
import { gpuTypeOf, placeOnSuperNode, superOffers } from './super-nodes.ts'

/** How nodes say which pool they are of: those of native and of regular pools. */
const poolLabels = ['node.tke.cloud.tencent.com/machineset', 'tke.cloud.tencent.com/nodepool-id'] as const
const typeLabel = 'node.kubernetes.io/instance-type'

export function createTencentProvider(options: TencentProviderOptions): Provider {
  const api = openApi(options)
  const kubernetes = createKubernetesProvider({
    name: 'tencent',
    account: options.account,
    installation: options.installation,
    region: options.region,
    cluster: async (signal) => ({ kubeconfig: await kubeconfigOf(api, options, signal) }),
    namespace: options.namespace,
    // Prices are those of the pools' instances, and are in the offers.
    prices: { gpu_usd_per_hour: { '*': 0 }, cpu_usd_per_hour: 0 },
    ...(options.pods && { pods: options.pods }),
    clock: options.clock,
    ...(options.call_ms !== undefined && { call_ms: options.call_ms }),
    adjust: placed,
  })
  // Its nodes are bought by the hour.
  const { machines: _own, ...rented } = kubernetes.traits
  return {
    name: 'tencent',
    account: options.account,
    // A pool that has no node takes minutes to get one, and some families longer.
    traits: { ...rented, boot_s: 180, boot_bound_s: 1_800 },
    async check(signal): Promise<Check[]> {
      const own = await checksOf(api, options, signal)
      return own.every(({ ok }) => ok) ? [...own, ...(await kubernetes.check(signal))] : own
    },
    offers: (signal, missing) => poolOffers(api, options, signal, missing),
    async launch(request, secrets, signal) {
      if (partOf(request.offer) === null && gpuTypeOf(request.offer) === undefined)
        throw failure('rejected', 'the offer is of no node pool and no super node: ask for the offers again')
      return kubernetes.launch(request, secrets, signal)
    },
    inspect: (refs, signal) => kubernetes.inspect(refs, signal),
    stop: (ref, signal) => kubernetes.stop(ref, signal),
    list: (signal) => kubernetes.list(signal),
    tail: async (ref, signal) => (await kubernetes.tail?.(ref, signal)) ?? '',
  }
}

/** The same Job for the same request: on nodes of the offer's pool, and of its type where the pool has several. */
function placed(job: V1Job, request: LaunchRequest): V1Job {
  const part = partOf(request.offer)
  const spec = job.spec?.template.spec
  if (!part || !spec) return placeOnSuperNode(job, request)
  const ofType: V1NodeSelectorRequirement[] = part.mixed
    ? [{ key: typeLabel, operator: 'In', values: [part.type] }]
    : []
  const nodeSelectorTerms = poolLabels.map((key) => ({
    matchExpressions: [{ key, operator: 'In', values: [part.pool] }, ...ofType],
  }))
  spec.affinity = {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
  }
  return job
}

/** Each way of being billed is asked for on its own. */
async function poolOffers(
  api: Api,
  options: TencentProviderOptions,
  signal: AbortSignal,
  missing?: (part: MissingPart) => void,
): Promise<Offer[]> {
  const all = await nodePools(api, options.cluster_id, signal)
  const pools = poolsOf(all, options.pools)
  const parts = [...Map.groupBy(pools, (pool) => pool.charge)].map(([charge, of]) => ({
    name: `prices of ${charge}`,
    has: (offer: OfPart) => of.some(({ id }) => id === partOf(offer)?.pool),
    ask: (within: AbortSignal) => offersOfCharge(api, options, { charge, pools: of }, within),
  }))
  const hasSuperNodes = all.some(({ Type }) => Type === 'Super')
  return [...(await askParts(parts, { signal, missing })), ...superOffers(options, hasSuperNodes)]
}

async function offersOfCharge(
  api: Api,
  options: TencentProviderOptions,
  { charge, pools }: { charge: Charge; pools: readonly Pool[] },
  signal: AbortSignal,
): Promise<Offer[]> {
  const types = [...new Set(pools.flatMap((pool) => pool.types))]
  const bound = () => callOfPart(signal, options.call_ms)
  const rows = pricedOf(await instanceTypes(api, types, charge, options.zones ?? null, bound()), charge)
  const priced: Priced[] = []
  for (const row of rows) priced.push(await quoted(api, options, row, pools, bound()))
  return offersOf(pools, priced, options, options.clock.now().toISOString())
}

/** The price with the system disk, where an image to ask with is named. Sold out, it has no quote. */
async function quoted(
  api: Api,
  { quote_image }: TencentProviderOptions,
  row: Priced,
  pools: readonly Pool[],
  signal: AbortSignal,
): Promise<Priced> {
  if (!quote_image || !row.sells || row.charge === 'PREPAID') return row
  const disk = pools.find(({ types }) => types.includes(row.type))?.disk ?? null
  const quote = { zone: row.zone, type: row.type, charge: row.charge, image: quote_image, disk }
  const cny_per_hour = await quotedPrice(api, quote, signal).catch((error: ProviderError) => {
    // It was sold a moment ago.
    if (error.code === 'capacity') return null
    throw error
  })
  return cny_per_hour === null ? row : { ...row, cny_per_hour, source: 'CVM quote' }
}

async function checksOf(api: Api, options: TencentProviderOptions, signal: AbortSignal): Promise<Check[]> {
  const { cluster_id, endpoint } = options
  const state = await checkOf('cluster', async () => {
    const seen = await clusterState(api, cluster_id, signal)
    if (seen === null) return bad(`there is no ${cluster_id} in ${options.region}: name its region and id`)
    // Others, upgrades among them, leave the cluster at work.
    const isGone = /^(Creating|Deleting|Isolated|ResourceIsolate|ResourceIsolated|Idling|Abnormal)$/.test(
      seen,
    )
    return isGone
      ? bad(`${cluster_id} is ${seen}: wait, or see why in TKE`)
      : good(`${cluster_id} is ${seen}`)
  })
  if (!state.ok) return [state]
  return [
    state,
    await checkOf('endpoint', async () => {
      const address = await endpointOf(api, options, signal)
      return address === null
        ? bad(`the cluster has no ${endpoint} endpoint: open it in TKE, or name the other one`)
        : good(`the ${endpoint} endpoint is open`)
    }),
    await checkOf('node pools', async () => {
      const offers = await poolOffers(api, options, signal)
      const pools = new Set(offers.flatMap((offer) => partOf(offer)?.pool ?? 'super nodes'))
      return offers.length > 0
        ? good(`${offers.length} offers of ${[...pools].join(', ')}`)
        : bad('none has a price: name pools and instance types in the settings')
    }),
  ]
}

const good = (detail: string) => ({ ok: true, detail })
const bad = (detail: string) => ({ ok: false, detail })

async function checkOf(name: string, ask: () => Promise<{ ok: boolean; detail: string }>): Promise<Check> {
  try {
    return { name, ...(await ask()) }
  } catch (error) {
    const { code, detail } = error as ProviderError
    const todo: Partial<Record<typeof code, string>> = {
      unauthorized:
        'see that the key is right, the clock too, and that it may read TKE and CVM (QcloudTKEReadOnlyAccess, QcloudCVMReadOnlyAccess)',
      not_found: 'name the region and the id of the cluster',
      throttled: 'ask again in a minute',
      unavailable: 'see that this server reaches tencentcloudapi.com',
    }
    return { name, ok: false, detail: `${detail}: ${todo[code] ?? 'see what Tencent says of this code'}` }
  }
}
