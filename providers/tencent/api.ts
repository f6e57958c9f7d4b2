// Calls of the TKE and CVM APIs by their SDKs, which are loaded at the first one. Reads alone: nodes come and go by the
// cluster's own autoscaler.
import type { InstanceTypeQuotaItem } from 'tencentcloud-sdk-nodejs-cvm/tencentcloud/services/cvm/v20170312/cvm_models.js'
import { failure, failureOf } from './errors.ts'
import type { TencentProviderOptions } from './options.ts'

type Version = 'tke-2018' | 'tke-2022' | 'cvm'

interface Client {
  request(action: string, body: object, options: { signal: AbortSignal }): Promise<unknown>
}

export interface Api {
  call<Answer>(version: Version, action: string, body: object, signal: AbortSignal): Promise<Answer>
}

export interface NodePool {
  NodePoolId: string
  Name?: string
  Type: string
  LifeState?: string
  Unschedulable?: boolean | null
  Labels?: { Name: string; Value: string }[] | null
  Taints?: { Key?: string; Value?: string; Effect?: string }[] | null
  Native?: {
    InstanceTypes?: string[] | null
    InstanceChargeType?: string
    EnableAutoscaling?: boolean
    Replicas?: number
    ReadyReplicas?: number
    Scaling?: { MinReplicas?: number; MaxReplicas?: number } | null
    SystemDisk?: { DiskType: string; DiskSize: number } | null
  } | null
  Regular?: {
    MaxNodesNum?: number
    DesiredNodesNum?: number
    NodeCountSummary?: { AutoscalingAdded?: { Normal?: number } | null } | null
  } | null
}

export type { InstanceTypeQuotaItem }

const call_ms = 20_000
/** The most that DescribeNodePools gives at once. */
const page_size = 100
/** A cluster has a few dozen; pages that go on after that go in a circle. */
const pages_most = 50
/** Of one filter (the API's own bound). */
const values_most = 100

export function openApi(options: TencentProviderOptions): Api {
  const most_ms = options.call_ms ?? call_ms
  const clients = new Map<Version, Promise<Client>>()
  const open = (version: Version): Promise<Client> => {
    const known = clients.get(version)
    if (known) return known
    const opening = load(version, options)
    clients.set(version, opening)
    opening.catch(() => clients.delete(version))
    return opening
  }
  return {
    // The SDK repeats nothing by itself, and so does this: what was not answered is asked for in the next round.
    async call<Answer>(version: Version, action: string, body: object, signal: AbortSignal): Promise<Answer> {
      const timeout = AbortSignal.timeout(most_ms)
      try {
        signal.throwIfAborted()
        const client = await open(version)
        const answer = await client.request(action, body, { signal: AbortSignal.any([signal, timeout]) })
        return answered<Answer>(answer)
      } catch (error) {
        if (timeout.aborted) throw failure('unavailable', `${action}: no answer in time`)
        if (signal.aborted) throw failure('unavailable', `${action}: given up`)
        throw failureOf(error, action)
      }
    },
  }
}

/** The SDK hands on whatever has a field Response. */
function answered<Answer>(answer: unknown): Answer {
  if (typeof answer !== 'object' || answer === null) throw failure('unavailable', 'the answer is empty')
  return answer as Answer
}

async function load(version: Version, options: TencentProviderOptions): Promise<Client> {
  const { secret_id: secretId, secret_key: secretKey, session_token, region, api } = options
  const given = {
    credential: { secretId, secretKey, ...(session_token && { token: session_token }) },
    region,
    profile: {
      signMethod: 'TC3-HMAC-SHA256' as const,
      language: 'en-US' as const,
      httpProfile: {
        // Seconds. Above the adapter's own bound, which says what happened.
        reqTimeout: Math.ceil((options.call_ms ?? call_ms) / 1000) + 5,
        ...(api && { protocol: api.protocol, endpoint: api.host }),
      },
    },
  }
  if (version === 'cvm') {
    const { cvm } = await import('tencentcloud-sdk-nodejs-cvm')
    return new cvm.v20170312.Client(given)
  }
  const { tke } = await import('tencentcloud-sdk-nodejs-tke')
  return version === 'tke-2018' ? new tke.v20180525.Client(given) : new tke.v20220501.Client(given)
}

/** Everything; pages may shift while they are read, so each pool is taken once. */
export async function nodePools(api: Api, cluster_id: string, signal: AbortSignal): Promise<NodePool[]> {
  const pools = new Map<string, NodePool>()
  let offset = 0
  for (let page = 0; page < pages_most; page++) {
    const body = { ClusterId: cluster_id, Offset: offset, Limit: page_size }
    const { NodePools = [], TotalCount = 0 } = await api.call<{
      NodePools?: NodePool[]
      TotalCount?: number
    }>('tke-2022', 'DescribeNodePools', body, signal)
    for (const pool of NodePools) pools.set(pool.NodePoolId, pool)
    offset += NodePools.length
    if (offset >= TotalCount || NodePools.length === 0) return [...pools.values()]
  }
  throw failure('unavailable', 'DescribeNodePools: a list without an end')
}

/** Price and stock of instance types in each zone. */
export async function instanceTypes(
  api: Api,
  types: readonly string[],
  charge: string,
  zones: readonly string[] | null,
  signal: AbortSignal,
): Promise<InstanceTypeQuotaItem[]> {
  const found: InstanceTypeQuotaItem[] = []
  for (let at = 0; at < types.length; at += values_most) {
    const Filters = [
      { Name: 'instance-type', Values: types.slice(at, at + values_most) },
      { Name: 'instance-charge-type', Values: [charge] },
      ...(zones ? [{ Name: 'zone', Values: zones.slice(0, values_most) }] : []),
    ]
    const answer = await api.call<{ InstanceTypeQuotaSet?: InstanceTypeQuotaItem[] }>(
      'cvm',
      'DescribeZoneInstanceConfigInfos',
      { Filters },
      signal,
    )
    found.push(...(answer.InstanceTypeQuotaSet ?? []))
  }
  return found
}

export interface Quote {
  zone: string
  type: string
  charge: string
  image: string
  disk: { DiskType: string; DiskSize: number } | null
}

/** CNY an hour of one instance as it would be bought, with its system disk; null: it has no hourly price. */
export async function quotedPrice(api: Api, quote: Quote, signal: AbortSignal): Promise<number | null> {
  const { zone, type, charge, image, disk } = quote
  const body = {
    Placement: { Zone: zone },
    ImageId: image,
    InstanceType: type,
    InstanceChargeType: charge,
    InstanceCount: 1,
    ...(disk && { SystemDisk: { DiskType: disk.DiskType, DiskSize: disk.DiskSize } }),
  }
  type Answer = {
    Price?: { InstancePrice?: { UnitPrice?: number; UnitPriceDiscount?: number } | null } | null
  }
  const { Price } = await api.call<Answer>('cvm', 'InquiryPriceRunInstances', body, signal)
  return Price?.InstancePrice?.UnitPriceDiscount ?? Price?.InstancePrice?.UnitPrice ?? null
}

/** The kubeconfig of the account's own user; never kept or shown. */
export async function kubeconfigOf(
  api: Api,
  { cluster_id, endpoint }: TencentProviderOptions,
  signal: AbortSignal,
): Promise<string> {
  const body = { ClusterId: cluster_id, IsExtranet: endpoint === 'public' }
  const address = await endpointOf(api, { cluster_id, endpoint }, signal)
  // TKE would answer with an address that leads nowhere.
  if (address === null)
    throw failure(
      'unavailable',
      `cluster ${cluster_id} has no ${endpoint} endpoint: open it in TKE, or name the other one`,
    )
  const { Kubeconfig } = await api.call<{ Kubeconfig?: string }>(
    'tke-2018',
    'DescribeClusterKubeconfig',
    body,
    signal,
  )
  if (Kubeconfig) return Kubeconfig
  throw failure('unavailable', 'DescribeClusterKubeconfig: the answer has no kubeconfig')
}

export async function endpointOf(
  api: Api,
  { cluster_id, endpoint }: Pick<TencentProviderOptions, 'cluster_id' | 'endpoint'>,
  signal: AbortSignal,
): Promise<string | null> {
  type Answer = { ClusterExternalEndpoint?: string; ClusterIntranetEndpoint?: string }
  const body = { ClusterId: cluster_id }
  const found = await api.call<Answer>('tke-2018', 'DescribeClusterEndpoints', body, signal)
  return (endpoint === 'public' ? found.ClusterExternalEndpoint : found.ClusterIntranetEndpoint) || null
}

export async function clusterState(
  api: Api,
  cluster_id: string,
  signal: AbortSignal,
): Promise<string | null> {
  type Answer = { ClusterStatusSet?: { ClusterId?: string; ClusterState?: string }[] }
  const body = { ClusterIds: [cluster_id] }
  const { ClusterStatusSet = [] } = await api.call<Answer>('tke-2018', 'DescribeClusterStatus', body, signal)
  return ClusterStatusSet.find(({ ClusterId }) => ClusterId === cluster_id)?.ClusterState ?? null
}
