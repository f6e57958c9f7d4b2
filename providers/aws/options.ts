// What an account of AWS Batch is told.
import type { Offer } from '../provider.ts'

/** What a job may ask for on a queue, and the price of an hour of it: AWS bills instances, and tells no price here. */
export interface AwsShape extends Pick<Offer, 'gpu' | 'cpu' | 'memory_gib' | 'disk_gib' | 'usd_per_hour'> {
  id: string
  /** Name or ARN of a job queue whose compute environments have such instances. */
  queue: string
}

export interface AwsProviderOptions {
  account: string
  installation: string
  region: string
  /** null: what the SDK finds (environment, profile, role of the machine). */
  credentials: { access_key_id: string; secret_access_key: string; session_token?: string | undefined } | null
  shapes: readonly AwsShape[]
  /** The day that their prices are of. */
  prices_at?: string | null
  /** What the work itself may do at AWS; null: nothing. */
  job_role?: string | null
  /** Needed for `registry_secrets`, which the agent reads with it. */
  execution_role?: string | null
  /** By server: ARN of the secret in Secrets Manager with its username and password. ECR needs none. */
  registry_secrets?: Readonly<Record<string, string>>
  /** uid or uid:gid; null: the image's own. */
  user?: string | null
  clock: { now(): Date }
  /** Of one call. */
  call_ms?: number
  /** In place of AWS's own addresses. */
  endpoint?: string
}
