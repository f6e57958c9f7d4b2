// What an account of a Tencent TKE cluster is told.
import type { PodSettings } from '../kubernetes/options.ts'
import type { NamedRate } from '../money.ts'

export interface TencentProviderOptions {
  account: string
  installation: string
  /** Of an API key (CAM): QcloudTKEReadOnlyAccess and QcloudCVMReadOnlyAccess, and RBAC rights in the cluster. */
  secret_id: string
  secret_key: string
  /** Of a temporary key. */
  session_token?: string | null
  /** `ap-guangzhou` */
  region: string
  /** `cls-...` */
  cluster_id: string
  /** Which of the cluster's endpoints this server reaches; it has to be opened in TKE. */
  endpoint: 'public' | 'private'
  namespace: string
  /** Only these; left out: every native pool. Of a regular pool its instance types have to be named, which only AS knows. */
  pools?: readonly PoolSettings[]
  /** Sizes of pods on the cluster's super nodes, and what they cost; left out: none. */
  super_nodes?: readonly SuperShape[]
  /** Prices of the Chinese site are in CNY; 1 where the account's are in USD. A number alone is a rate that nobody has dated. */
  cny_per_usd: number | NamedRate
  /** `ap-guangzhou-6`: the zones of the pools' subnets; left out: any of the region. */
  zones?: readonly string[]
  /** Image of the nodes (`img-...`): with it prices are quotes with the system disk, else list prices without it. */
  quote_image?: string | null
  /** By instance family, for those that gpuOfFamily does not know, or knows wrongly. */
  gpus?: Readonly<Record<string, FamilyGpu>>
  pods?: PodSettings
  clock: { now(): Date }
  /** How long one request may take. */
  call_ms?: number
  /** Another address of the APIs, with the protocol: a gateway's, or a test's. */
  api?: { protocol: 'http://' | 'https://'; host: string }
}

export interface PoolSettings {
  /** `np-...` */
  id: string
  instance_types?: readonly string[]
  /** Its nodes are bought as spot instances. */
  spot?: boolean
}

export interface SuperShape {
  /** As the annotation names it: `T4`, `V100`, `A10*GNV4`; null: without a GPU. Parts of cards are not offered. */
  gpu_type?: string | null
  /** Of a type that is not known yet; left out: it is listed as unknown. */
  gpu?: FamilyGpu
  /** Cards; 1 if left out. */
  gpus?: number
  cpu: number
  memory_gib: number
  cny_per_hour: number
  /** The day that this price is of. */
  prices_at?: string | null
  spot?: boolean
}

export interface FamilyGpu {
  model: string
  memory_gib: number
  compute_capability: string | null
}
