// What an account of RunPod is told.

export const clouds = ['secure', 'community'] as const
/** `secure`: RunPod's own data centers; `community`: machines of other people. */
export type Cloud = (typeof clouds)[number]

export interface RunpodProviderOptions {
  account: string
  installation: string
  /** Of an API key that may read and write pods and registries. */
  api_key: string
  /**
   * GraphQL has interruptible pods and the balance, and is retired early in 2027; REST v2 has neither.
   * https://docs.runpod.io/release-notes
   */
  transport: 'graphql' | 'rest'
  clouds: readonly Cloud[]
  /** `EU-RO-1`: an offer for each of them; left out: one offer, and RunPod chooses where. */
  data_centers?: readonly string[]
  /** GPUs of one pod; a GPU type is offered in those that its machines have. */
  gpu_counts: readonly number[]
  /** Every pod's container disk, GB; it is in the price. */
  disk_gb: number
  /** What to bid, as a multiple of the least bid: more is interrupted less. */
  bid_factor: number
  /** `12.8`: the oldest CUDA that a host's driver may have; left out: any. */
  min_cuda?: string
  clock: { now(): Date }
  call_ms?: number
  /** `https://api.runpod.io` */
  url?: string
}

export const apiUrl = 'https://api.runpod.io'
