// The rows as TypeScript sees them: one interface a table of migrations/.
import type { ColumnType, Generated, Kysely, Transaction } from 'kysely'
import type { Handle, LaunchRequest } from '../../providers/provider.ts'
import type { Made } from '../idempotency.ts'
import type { IdentityTables } from './identity-tables.ts'
import type { RankingView } from '../ranking-view.ts'
import type { DeviceClass } from '../shards.ts'
import type { JobSpec } from '../spec.ts'
import type { MessageTables } from './message-tables.ts'
import type { MoneyTables } from './money-tables.ts'
import type { OfferTables } from './offer-tables.ts'
import type { Json, ResultTables } from './result-tables.ts'
import type {
  AttemptState,
  ErrorCode,
  ErrorPlace,
  JobState,
  Order,
  Outcome,
  Priority,
  ShardState,
  StopReason,
} from '../state.ts'

export interface JobError {
  code: ErrorCode
  message: string
  where: ErrorPlace
  exit_code: number | null
  hint: string | null
  log_tail: string | null
}
export interface Warning {
  code: string
  message: string
}
/** What the runner said at the end, as it was reported. */
export interface Finished {
  exit_code: number | null
  failure: ErrorCode | null
  error: { message: string; hint: string | null } | null
  result: unknown
}
export interface Checkpoint {
  name: string
  bytes: number
  sha256: string
  object_key: string
}

/** What a check of an account saw. */
export interface AccountCheck {
  name: string
  ok: boolean
  detail: string
}

export interface Tables extends IdentityTables, MoneyTables, MessageTables, OfferTables, ResultTables {
  installation: {
    one: Generated<boolean>
    id: string
    created_at: Date
    high_water_at: Date | null
    quarantine_until: Date | null
    launches_held_until: Date | null
    feed_epoch: Generated<number>
    /** Keys of their own, in base64: infra/first-start.ts. */
    runner_key_sealed: string | null
    identity_key_sealed: string | null
  }
  provider_accounts: {
    id: string
    provider: string
    account: string
    settings: Json<Record<string, unknown>>
    credentials_sealed: string
    credential_names: Json<string[]>
    regions: Json<string[] | null>
    enabled: boolean
    draining: boolean
    version: number
    checks: Json<AccountCheck[]> | null
    checked_at: Date | null
    created_at: Date
    updated_at: Date
  }
  projects: {
    id: string
    name: string
    webhook_secret_sealed: string
    /** Share of what runs when several projects wait. */
    weight: Generated<number>
    /** Whether its admins run the installation. */
    is_operator: Generated<boolean>
    created_at: Date
    deleted_at: Date | null
    /** Nothing is left of it but what the books need. */
    purged_at: Date | null
  }
  api_keys: {
    id: string
    project_id: string
    name: string
    prefix: string
    sha256: string
    role: 'admin' | 'member' | 'viewer'
    created_at: Date
    expires_at: Date | null
    revoked_at: Date | null
    last_used_at: Date | null
    /** null: all that its role may. */
    scopes: string[] | null
  }
  idempotency: {
    project_id: string
    key: string
    body_sha256: string
    /** The first job that was made; null: none. */
    resource_id: string | null
    items: Json<Made[] | null> | null
    created_at: Date
  }
  secrets: {
    project_id: string
    name: string
    type: 'value' | 'registry'
    sealed: string
    created_at: Date
    updated_at: Date
  }
  replicas: { id: string; started_at: Date; renewed_at: Date }
  jobs: {
    id: string
    project_id: string
    kind: string
    name: string | null
    spec: Json<JobSpec>
    priority: Priority
    labels: Json<Record<string, string>>
    /** Where it has been launched. */
    providers: ColumnType<string[], string | undefined, string>
    state: JobState
    outcome: Outcome | null
    error: Json<JobError | null> | null
    warnings: Json<Warning[]>
    result: Json<unknown> | null
    estimated_micros: number | null
    shards_total: number
    shards_waiting: number
    shards_active: number
    shards_running: Generated<number>
    shards_succeeded: Generated<number>
    shards_failed: Generated<number>
    shards_cancelled: Generated<number>
    event_sequence: Generated<number>
    order_kind: Order | null
    order_at: Date | null
    /** Of the shard that joins the results of the others; null: there is none yet. */
    merge_state: ShardState | null
    /** Of all work shards, from the first launch on; null before it, and where there is one shard. */
    device_class: DeviceClass | null
    /** Equal for jobs with one result; null: it may differ each time. */
    cache_key: string | null
    /** The job whose result this one waits for. */
    follows: string | null
    /** The job whose result this one was given. */
    cached_from: string | null
    /** What it reads its prices from. */
    dataset_id: string | null
    created_at: Date
    started_at: Date | null
    finished_at: Date | null
    deleted_at: Date | null
    /** Since when its artifacts, points and logs are gone. */
    purged_at: Date | null
  }
  job_lists: { list: string; job_id: string; project_id: string }
  shards: {
    id: string
    project_id: string
    job_id: string
    index: number
    role: Generated<'work' | 'merge'>
    state: ShardState
    shape_hash: string
    queue_key: Date
    due_at: Date | null
    not_before: Date | null
    facts_version: Generated<number>
    order_kind: Order | null
    order_version: number | null
    waiting_since: Date | null
    waited_ms: Generated<number>
    attempts: Generated<number>
    attempts_used: Generated<number>
    attempts_uncharged: Generated<number>
    attempts_without_progress: Generated<number>
    excluded_providers: Json<string[]>
    checkpoint: Json<Checkpoint | null> | null
    lease_replica: string | null
    lease_token: string | null
    leased_until: Date | null
    wait_reason: 'budget' | 'follows' | null
    created_at: Date
  }
  attempts: {
    id: string
    project_id: string
    job_id: string
    shard_id: string
    shard_index: number
    number: number
    state: AttemptState
    provider: string
    account: string
    region: string
    offer_id: string
    spot: boolean
    device: string | null
    usd_micros_per_hour: number
    basis: 'billed' | 'modelled'
    min_billing_s: number
    timeout_s: number
    timeout_reason: 'timed_out' | 'over_budget'
    paid_s: number | null
    request: Json<LaunchRequest>
    nonce: string
    kind: string
    signature: string | null
    ranking: Json<RankingView | null> | null
    handle: Json<Handle> | null
    launch_called_at: Date | null
    first_called_at: Date | null
    launched_at: Date | null
    created_at: Date
    started_at: Date | null
    ended_at: Date | null
    outcome: Outcome | null
    outcome_at: Date | null
    exit_code: number | null
    error: Json<JobError> | null
    stop_reason: StopReason | null
    stop_by: Date | null
    stop_called_at: Date | null
    instance: string | null
    host: Json<unknown> | null
    bound_at: Date | null
    bootstrapped_at: Date | null
    bootstrap_machine: string | null
    bootstrap_refused_at: Date | null
    preempting_at: Date | null
    finished: Json<Finished> | null
    finished_at: Date | null
    finished_version: number | null
    seen_state: string | null
    seen_exit_code: number | null
    seen_detail: string | null
    seen_reason: string | null
    seen_at: Date | null
    gone_since: Date | null
    exited_since: Date | null
    reserved_until: Date | null
  }
  heartbeats: {
    attempt_id: string
    project_id: string
    at: Date
    progress: number | null
    phase: string | null
    step: number | null
    steps: number | null
    metrics: Json<Record<string, unknown>>
    machine: Json<Record<string, unknown>>
    /** Thinned: the first of each stretch of `sample_s`. */
    samples: Json<Record<string, unknown>[]>
    sampled_at: Date | null
    sample_s: Generated<number>
  }
  log_chunks: {
    project_id: string
    job_id: string
    attempt_id: string
    number: number
    at: Date
    stream: 'stdout' | 'stderr' | 'runner'
    text: string
    partition_at: Date
  }
  orphans: {
    id: string
    provider: string
    account: string
    name: string
    attempt_id: string | null
    handle: Json<Handle>
    usd_micros_per_hour: number
    first_seen_at: Date
    last_seen_at: Date
    since: Date | null
    shard_id: string | null
    nonce: string | null
    stop_called_at: Date | null
    gone_at: Date | null
  }
}

export type Database = Kysely<Tables>
export type Tx = Transaction<Tables>
