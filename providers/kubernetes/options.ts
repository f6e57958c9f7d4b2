// What an account of a Kubernetes cluster is told.
import type { V1Job, V1Toleration } from '@kubernetes/client-node'
import type { LaunchRequest } from '../provider.ts'

/** How a cluster is reached. */
export type ClusterAccess =
  /**
   * The text of a kubeconfig with its credentials in it: a token, a client certificate, or a user and a password. One that names
   * files or commands is refused, since they would be read or run on the server.
   */
  | { kubeconfig: string; context?: string | null }
  /** The service account of the pod that the server itself runs in. */
  | { in_cluster: true }
  /** `ca`: PEM; null: one that the system trusts. */
  | { server: string; token: string; ca: string | null }

export interface Prices {
  /** By model as people name it ("H100", "RTX 4090", "A100 80GB"); `*`: every other. A GPU without a price is not offered. */
  gpu_usd_per_hour: Readonly<Record<string, number>>
  cpu_usd_per_hour: number
  /** Where they are from, in a word or two. */
  source?: string
  /** The day that they are of. */
  at?: string | null
}

/** What every pod of the account gets. */
export interface PodSettings {
  labels?: Readonly<Record<string, string>>
  annotations?: Readonly<Record<string, string>>
  node_selector?: Readonly<Record<string, string>>
  /** Beside the one for nodes with GPUs, which is always there. */
  tolerations?: readonly V1Toleration[]
  priority_class?: string | null
  /** Its token is not given to the pods. */
  service_account?: string | null
  runtime_class?: string | null
  image_pull_secrets?: readonly string[]
  /** User and group of the container; null: the image's own, which must be a number and not 0. */
  run_as_user?: number | null
}

export interface KubernetesProviderOptions {
  /** Adapters of clouds whose Kubernetes this runs on say their own; `kubernetes` if left out. */
  name?: string
  account: string
  installation: string
  /** Offers carry it. */
  region: string
  /** A function is asked at the first call, and again when the cluster refuses what it gave. */
  cluster: ClusterAccess | ((signal: AbortSignal) => Promise<ClusterAccess>)
  namespace: string
  prices: Prices
  pods?: PodSettings
  clock: { now(): Date }
  /** How long one request may take; 30 s if left out. */
  call_ms?: number
  /** What a cloud wants to be said of a pod beside that; must answer the same for the same request. */
  adjust?: (job: V1Job, request: LaunchRequest) => V1Job
}
