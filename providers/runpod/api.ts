// What the adapter asks of RunPod, whichever of its APIs answers.
import type { MissingPart } from '../provider.ts'
import { openGraphql } from './graphql.ts'
import type { Cloud, RunpodProviderOptions } from './options.ts'
import { openRest } from './rest.ts'

/** A pod of the account, ours or not. */
export interface Pod {
  id: string
  name: string
  /** The installation that its variables name; null: it is not ours. No other variable leaves the transport. */
  installation: string | null
  /** `failed`: RunPod cannot start it; `terminated`: on its way out of the list; `unknown`: a status that is new. */
  state: 'pending' | 'running' | 'exited' | 'failed' | 'terminated' | 'unknown'
  /** null: the API does not tell. */
  interruptible: boolean | null
  usd_per_hour: number
  since: string | null
}

export interface NewPod {
  name: string
  image: string
  /** `dockerArgs`; '' for the image's own command. */
  args: string
  env: Readonly<Record<string, string>>
  gpu_type: string
  gpu_count: number
  cloud: Cloud
  data_center: string | null
  disk_gb: number
  cpu: number
  memory_gib: number
  registry: string | null
  /** USD an hour for each GPU; null: on demand. */
  bid: number | null
}

/** What stays beside pods: a credential for a registry. */
export interface Registry {
  id: string
  name: string
}

/** A GPU type in one cloud, and one data center of it or any. Prices are for each GPU, in USD an hour. */
export interface Quote {
  gpu_type: string
  name: string
  memory_gib: number
  count: number
  cloud: Cloud
  data_center: string | null
  price: number
  /** Least bid; null: not sold so. */
  bid: number | null
  in_stock: boolean
  /** Of the machine, at least; null: the API does not tell. */
  cpu: number | null
  memory: number | null
}

/** null: the API does not tell. */
export interface Standing {
  balance_usd: number | null
  spend_usd_per_hour: number | null
  spend_limit_usd_per_hour: number | null
}

/** Throws ProviderError alone. */
export interface Api {
  name: 'graphql' | 'rest'
  pods(signal: AbortSignal): Promise<Pod[]>
  /** The same, with what the account may still spend. */
  podsAndStanding(signal: AbortSignal): Promise<{ pods: Pod[]; standing: Standing }>
  /** Its id. */
  create(pod: NewPod, signal: AbortSignal): Promise<string>
  /** not_found where there is none. */
  terminate(id: string, signal: AbortSignal): Promise<void>
  registries(signal: AbortSignal): Promise<Registry[]>
  saveRegistry(
    registry: { name: string; username: string; password: string },
    signal: AbortSignal,
  ): Promise<string>
  deleteRegistry(id: string, signal: AbortSignal): Promise<void>
  /** Of a cloud or a data center that does not answer it tells as missing. */
  quotes(signal: AbortSignal, missing?: (part: MissingPart) => void): Promise<Quote[]>
}

export const openApi = (options: RunpodProviderOptions): Api =>
  options.transport === 'graphql' ? openGraphql(options) : openRest(options)
