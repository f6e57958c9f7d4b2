// The contract between Berth and a place where work can run. One Provider is made per account.
// Promises of every adapter:
//   - launch() called again with the same attempt id starts nothing new and returns the same handle
//   - inspect() answers `gone` for what is not there; it throws only when the vendor could not be asked
//   - stop() may be repeated; only a later inspect() confirms it
//   - no credential, environment value or user-data is in an error, a handle or a log

/** Opaque to everything but the adapter that made it: stored, passed back, never read by the core. */
export type Handle = Readonly<Record<string, unknown>>

/** A priced, possibly available shape at one account and region. */
export interface Offer {
  /** Stable within the account: the vendor's own name of the shape. */
  id: string
  provider: string
  account: string
  region: string
  spot: boolean
  usd_per_hour: number
  /** By whatever name the vendor gives it; `memory_gib` 0: not told. */
  gpu: { model: string; count: number; memory_gib: number; compute_capability: string | null } | null
  cpu: number
  memory_gib: number
  disk_gib: number
  /** Stock: how many more can start now, as the vendor says; null when it does not say. */
  available: number | null
  /** Fixed capacity (this machine, a node pool): most attempts at once on it; null where stock decides. */
  slots: number | null
  /** Left out where nothing is known of it. */
  price?: Price
  /** Since when its vendor could not be asked for it (ISO 8601); left out: it is of the last list. Set by the core alone. */
  stale_since?: string
}

export interface Price {
  /** Where it is from, in a word or two. */
  source: string
  /** As of when (ISO 8601); null: not known. */
  at: string | null
  /** Whether the vendor said it when it was asked; false or left out: whoever set the account up did. */
  live?: boolean
  /** An hour as the vendor bills it, where that is not in USD; null as rate: nobody has named one, and the offer is refused. */
  charged?: { currency: string; per_hour: number; rate: Rate | null }
}

/** What a currency is worth. */
export interface Rate {
  /** So many of it for one USD. */
  per_usd: number
  /** As of when (ISO 8601); null: not known. */
  at: string | null
  /** Who says so, in a word or two. */
  source: string
}

/** A part of an account (a zone, a data center) that could not be asked for its offers. */
export interface MissingPart {
  name: string
  error: unknown
  /** Whether an offer is of it. */
  has: (offer: Pick<Offer, 'id' | 'region' | 'spot'>) => boolean
}

/** A GPU of a machine that the account has whether work runs on it or not, as it is now; null: not told. */
export interface Device {
  /** The offer that it is part of, and that one's region. */
  offer: string
  region: string
  index: number
  memory_used_gib: number | null
  /** Share of 1. */
  utilization: number | null
  temperature_c: number | null
  power_w: number | null
  driver: string | null
  cuda: string | null
}

/** What a launch needs, whole: it is stored with the intent, and a repeated launch is byte-identical. */
export interface LaunchRequest {
  attempt_id: string
  /** `berth-<6 of installation>-<suffix of the attempt id>`: name and tag at the vendor, <= 45 characters. */
  name: string
  installation: string
  kind: string
  offer: Offer
  /** null: the provider's own program for the kind (where `runs_images` is false). */
  image: string | null
  /** argv in place of the image's own entry; null or left out: that entry is the runner. */
  command?: readonly string[] | null
  device: 'auto' | 'cpu' | 'cuda' | `cuda:${number}`
  cpu: number
  memory_gib: number
  disk_gib: number
  /** Absolute: the runner must be over by then; the vendor's dead-man switch is set later than this. */
  deadline_at: string
  /** Where the runner reports. */
  berth_url: string
}

/** Inputs that must not be stored: made again by any replica from the stored request. */
export interface LaunchSecrets {
  /** The runner's bearer token. */
  token: string
  /**
   * Good for one exchange for all of this (POST /v1/runner/bootstrap): what stands where others can read it, like the user data of a
   * machine. Left out by who has no such exchange.
   */
  bootstrap?: string
  /** For an image that its registry does not give to everyone. */
  registry?: { server: string; username: string; password: string } | null
}

/**
 * Names a launched thing. A null handle is looked up by name or tag, and never launches. Without a request the
 * attempt is not known to us (an orphan), and the handle is what list() gave.
 */
export type Ref =
  | { attempt_id: string; handle: Handle | null; request: LaunchRequest }
  | { attempt_id: string; handle: Handle; request: null }

/**
 * What the provider says now of one ref. The core decides by `state`, `exit_code` and `reason`; `detail` is for people.
 * A reason is given only where the vendor says so, never guessed from silence.
 */
export type Observation =
  /** `image`: it cannot be pulled; `capacity`, `quota`: it waits for a machine, or for room in the account. */
  | { state: 'pending'; detail: string | null; reason?: 'image' | 'capacity' | 'quota' | null }
  /** `preempted`: its vendor has said that it will take it back, and it runs until then. */
  | { state: 'running'; detail: string | null; reason?: 'preempted' | null }
  /** `deadline`: the vendor's dead-man switch. `is_billed`: it costs until it is released, and only then is `gone`. */
  | {
      state: 'exited'
      exit_code: number | null
      detail: string | null
      reason?: 'image' | 'out_of_memory' | 'preempted' | 'deadline' | null
      is_billed?: true
    }
  /** The vendor knows nothing of it (any more). `capacity`: it was never really there, for want of a machine. */
  | { state: 'gone'; detail: string | null; reason?: 'preempted' | 'capacity' | null }
  /** It could not be asked: loss of sight, which starts nothing and stops nothing. */
  | { state: 'unseen'; detail: string }

/** A thing at the provider that carries our installation's tag. */
export interface Found {
  name: string
  /** null: a helper (secret, job definition, volume) or a thing of unknown attempt. */
  attempt_id: string | null
  handle: Handle
  usd_per_hour: number
  since: string | null
}

/** One permission or precondition, checked without spending. */
export interface Check {
  name: string
  ok: boolean
  /** What was seen and, when not ok, what to do. */
  detail: string
}

export interface ProviderTraits {
  /** It runs containers, and a launch names an image; false: it runs this installation's own programs. */
  runs_images: boolean
  /** The vendor deduplicates launches by a token, so a launch may be repeated at once. */
  launch_token: boolean
  /** Most refs in one inspect call. */
  inspect_batch: number
  /** How long a new thing may be missing from inspect and list. */
  list_lag_ms: number
  /** What a start usually takes, from the launch to the runner's first word; for estimates alone. */
  boot_s: number
  /** Longest time from launch to the runner's first word; after that the attempt is stopped. */
  boot_bound_s: number
  min_billing_s: number
  /** Shortest dead-man switch the vendor can set; 0 when it has none or any will do. */
  dead_man_min_s: number
  /** Calls a second that the vendor's documented quota allows. */
  calls_per_s: number
  /** Calls that one reading of the offers makes, about; left out: a few. */
  offer_calls?: number
  /**
   * Whose the machines are. `here`: of the server that asks, so that each server has offers of its own; `own`: there whether work runs
   * or not, so that 0 is a price; left out: rented.
   */
  machines?: 'here' | 'own'
  /** `billed`: our ledger must equal the vendor's bill. `modelled`: the price is an assumption. */
  billing: 'billed' | 'modelled'
}

export interface Provider {
  readonly name: string
  readonly account: string
  readonly traits: ProviderTraits
  /** Credentials and each needed permission, without spending. */
  check(signal: AbortSignal): Promise<Check[]>
  /**
   * Everything the account offers; filtering is placement's. Where parts are asked for on their own, one that cannot be asked is told as
   * missing, and the offers of the others are the answer; it throws where none can, or nobody listens.
   */
  offers(signal: AbortSignal, missing?: (part: MissingPart) => void): Promise<Offer[]>
  /** Starts it. The same attempt id again: the same handle, nothing new started. */
  launch(request: LaunchRequest, secrets: LaunchSecrets, signal: AbortSignal): Promise<Handle>
  /** One observation per ref, in order. */
  inspect(refs: readonly Ref[], signal: AbortSignal): Promise<Observation[]>
  /** Ends it and whatever costs money for it. Idempotent; confirmed by inspect. */
  stop(ref: Ref, signal: AbortSignal): Promise<void>
  /** Everything with our installation's tag, helpers too. */
  list(signal: AbortSignal): AsyncIterable<Found>
  /** The GPUs of fixed capacity, as they are now. */
  devices?(signal: AbortSignal): Promise<Device[]>
  /** The vendor's own log, for when the runner never spoke. At most 64 KiB, the end of it. */
  tail?(ref: Ref, signal: AbortSignal): Promise<string>
}
