// What an account of Alibaba Cloud ECS is told.

import type { NamedRate } from '../money.ts'

export interface AlibabaProviderOptions {
  account: string
  installation: string
  /** Of a RAM user with infra/alibaba/ram-policy.json. */
  access_key_id: string
  access_key_secret: string
  /** Of a temporary key (STS). */
  security_token?: string | null
  /** `cn-hangzhou`, `ap-southeast-1` */
  region: string
  /** One a zone; machines start in these zones and no others. They have to reach Berth and the registry: a NAT gateway, say. */
  vswitches: readonly VSwitch[]
  security_group_id: string
  /** With NVIDIA's driver, Docker and the NVIDIA container toolkit: an image of the account's own, or one of Alibaba's for GPUs. */
  image_id: string
  /** `ecs.gn7i-c8g1.2xlarge` */
  instance_types: readonly string[]
  /** Offers spot instances beside those on demand. */
  spot: boolean
  /** Most that is paid for a spot instance, as a multiple of its price on demand. */
  bid_multiple: number
  /** Role of the machines, which may do nothing but release themselves (infra/alibaba/machine-role-policy.json). */
  ram_role?: string | null
  /** Who containers run as; null: whoever their image says; left out: nobody (65532). */
  run_as_user?: number | null
  /** System disk: image of the machine, images of containers, and the work. */
  disk_gib: number
  disk_category: string
  /** The Chinese site answers in CNY: at what rate, and as of when (`2026-11-01`). */
  cny_per_usd?: NamedRate | null
  /** By instance type, where `GPUSpec` is not understood, or is wrong. */
  gpus?: Readonly<Record<string, TypeGpu>>
  clock: { now(): Date }
  /** How long one request may take. */
  call_ms?: number
  /** Another address of the API, with the protocol: a gateway's, or a test's. */
  api?: { protocol: 'HTTP' | 'HTTPS'; host: string }
}

export interface VSwitch {
  /** `cn-hangzhou-i` */
  zone: string
  /** `vsw-...` */
  id: string
}

export interface TypeGpu {
  model: string
  memory_gib: number
  compute_capability: string | null
}
