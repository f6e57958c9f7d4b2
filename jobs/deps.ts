// What the domain is given. infra/compose.ts makes it; tests make their own.
import type { LaunchSecrets, Provider, Rate } from '../providers/provider.ts'
import type { Catalogue } from './catalogue.ts'
import type { RefusedOffers } from './check-offers.ts'
import type { Meter } from './figures.ts'
import type { Health } from './health.ts'
import type { Identity, Mail, Registration } from './identity.ts'
import type { KeyUse } from './key-use.ts'
import type { Lanes } from './lanes.ts'
import type { UnaskedPart } from './store/offer-tables.ts'
import type { Database } from './store/schema.ts'
import type { Rates } from './rates.ts'
import type { Vendor } from './vendor.ts'
import type { RunnerKey } from './tokens.ts'

/** Time that decides: database time, advanced by the process's monotonic clock. */
export interface Clock {
  now(): Date
}

/** Artifacts by content. A key is chosen by the caller and never holds user input. */
export interface ObjectStore {
  /** Streams `body` in; refuses (throws ObjectTooLarge) past `max_bytes` and leaves nothing behind. */
  put(
    key: string,
    body: ReadableStream<Uint8Array>,
    options: { max_bytes: number },
  ): Promise<{ bytes: number; sha256: string }>
  /** null: not there. A range is from `start` up to `end`, exclusive; `bytes` is always the whole object's size. */
  get(
    key: string,
    range?: { start: number; end: number },
  ): Promise<{ bytes: number; body: ReadableStream<Uint8Array> } | null>
  /** Idempotent. */
  delete(key: string): Promise<void>
  /**
   * An address at which whoever has it reads the object for some minutes, whole or in ranges, as a file of that name.
   * null: there is none, and its bytes go through this server. Does not look whether the object is there.
   */
  link(key: string, as: { name: string; content_type: string }): Promise<string | null>
}

/** The store did not do what it was asked: unreachable, refusing or broken. Names no credential. */
export class StoreFailed extends Error {
  override readonly name = 'StoreFailed'
}

/** A file that is read in stretches. */
export interface TableFile {
  bytes: number
  /** From `start` up to `end`, exclusive. */
  read: (start: number, end: number) => Promise<Uint8Array>
}
/** What is in a file of prices; null: it does not tell. */
export interface DescribedTable {
  columns: string[]
  rows: number | null
  first: string | null
  last: string | null
}

/** What is wanted of a table. */
export interface ColumnsWanted {
  /** `all`: those whose types are read here. */
  columns: readonly string[] | 'all'
  /** Left out where the file does not have them. */
  optional?: readonly string[]
  /** Rows that have these values alone. */
  where?: Readonly<Record<string, number | string>>
  /** Rows by columns, and bytes as they are unpacked: a file that would take more is not read. */
  max_cells: number
  max_bytes: number
}
/** Times are in milliseconds since 1970, those of `naive_time` in a zone that the file does not name. */
export type Column =
  /** NaN: none. */
  | { kind: 'number' | 'date' | 'time' | 'naive_time'; values: Float64Array }
  /** By their places among the texts; -1: none. */
  | { kind: 'text'; texts: string[]; codes: Int32Array }
export interface ColumnsFound {
  rows: number
  /** The stretches that they are from: the number of the first row, and which of it; null: all of them. */
  at: { start: number; kept: Int32Array | null }[]
  columns: Record<string, Column>
}
export interface TableFault {
  code: 'too_large' | 'unreadable' | 'no_column'
  /** Of the file, as in "it has no column close". */
  detail: string
}
/** Reads files that programs and clients have left, away from the thread that answers: nothing in them is trusted. */
export interface ColumnReader {
  /** Throws TablesBusy, and what reading the file throws. */
  read: (
    format: 'parquet' | 'csv',
    file: TableFile,
    wanted: ColumnsWanted,
  ) => Promise<ColumnsFound | { fault: TableFault }>
}
/** As many tables are being read as can be. */
export class TablesBusy extends Error {
  override readonly name = 'TablesBusy'
}

/** A stream ended before its size was known to be within the bound. */
export class ObjectTooLarge extends Error {
  override readonly name = 'ObjectTooLarge'
}

/** Seals secrets that are stored in rows (AES-256-GCM; the context binds a value to its row). */
export interface Sealer {
  /** Tells the key that it seals with, and nothing of it. */
  key_id: string
  /** Those that it opens with. */
  key_ids: readonly string[]
  seal(plain: string, context: string): string
  /** Throws when the key or the context is not the one it was sealed with. */
  open(sealed: string, context: string): string
}

/** One JSON line; `fields` never holds a secret. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void

/** A request that was answered. */
export interface Access {
  time: string
  request_id: string
  method: string
  /** As it is written in the document: `/v1/jobs/:id`. */
  route: string
  status: number
  ms: number
  project: string | null
  /** `key/...` or `user/...`; null: nobody who is known. */
  by: string | null
}

/** Wakes those who wait, within this process. A lost wake costs latency, never a job: everyone also polls. */
export interface Waker {
  wake: (topic: string) => void
  /** Resolves at the next wake of the topic, after `timeout_ms`, or when the signal aborts. */
  wait: (topic: string, timeout_ms: number, signal?: AbortSignal) => Promise<void>
}
/**
 * Topics: the pass has work; an account was changed; there is something to write of the health of one; the webhook sender has work; there are events; something of this job has changed; who follows
 * the feed of this project can go on.
 */
export const topics = {
  pass: 'pass',
  accounts: 'accounts',
  health: 'health',
  webhooks: 'webhooks',
  events: 'events',
  job: (id: string) => `job:${id}`,
  feed: (project_id: string) => `feed:${project_id}`,
} as const

/** The runner, in Python and for POSIX shells. */
export type RunnerFiles = Readonly<Record<'runner.pyz' | 'runner.sh', Uint8Array<ArrayBuffer>>>

export interface Settings {
  /** Where runners reach this server. */
  berth_url: () => string
  /** Whether machines elsewhere reach it: an address was named for that. */
  is_reachable: boolean
  /** Where links for people point. */
  public_url: () => string
  max_queued: number
  sse_max_s: number
  /** Of the program of a kind: equal where equal specs have equal results. null: nobody can tell. */
  program_version: (kind: string) => string | null
  /** The container image that runs a kind where containers are run; null: none is named. */
  image: (kind: string) => string | null
  /** How long a result is given again; 0: never. */
  cache_ttl_s: number
  /** Results that are kept to be given again. */
  cache_max_entries: number
  /** How long logs and events are kept, to the month. */
  keep_days: number
  /** The same of the audit log. */
  audit_keep_days: number
  registration: Registration
  /** Of pages that may ask with a key; none: those of this server alone. */
  cors_origins: readonly string[]
  /** Whether an address is a proxy's whose word for the client's address is taken. */
  is_proxy: (address: string) => boolean
  /** Folders that `file://` data may lie in; empty: refused. */
  local_data_dirs: readonly string[]
}

/** What is known of an account's offers. */
export interface OfferSource {
  provider: string
  account: string
  /** When it last answered; null: it has not. */
  asked_at: Date | null
  tried_at: Date | null
  /** When it is asked next. */
  due_at: Date
  /** Why it did not answer the last time; null: it did. */
  error: string | null
  /** Times in a row. */
  failures: number
  missing: readonly UnaskedPart[]
  refused: readonly RefusedOffers[]
  offers: number
  /** Of them, those that it could not be asked for. */
  stale: number
  rates: readonly (Rate & { currency: string })[]
}

export interface Deps {
  db: Database
  clock: Clock
  /** Cryptographically random bytes; seeded in tests. */
  random: (bytes: number) => Uint8Array
  /**
   * Resolves when the requests that have arrived by now have been read, or after so many milliseconds, so that they can be answered
   * together. null: each is answered alone, where the runtime lets none do anything for another.
   */
  gather: ((ms?: number) => Promise<void>) | null
  store: ObjectStore
  /** Columns, rows and range of an uploaded file; a fault for one that cannot be read. */
  describe_table: (format: 'parquet' | 'csv', file: TableFile) => Promise<DescribedTable | { fault: string }>
  tables: ColumnReader
  /** The prices of a sample dataset that comes with Berth; null: they are not here. */
  sample_prices: (name: string) => Promise<TableFile | null>
  sealer: Sealer
  /** Makes and checks runner tokens: HMAC-SHA256 over attempt id and nonce. */
  runner_key: RunnerKey
  /** Who people are. */
  identity: Identity
  /** Rejects where it cannot be sent; null: no mails are sent. */
  send_mail: ((mail: Mail) => Promise<void>) | null
  installation: string
  /** One for each account: of the environment, and what jobs/accounts.ts keeps. Changes while the server runs. */
  providers: readonly Provider[]
  /** What accounts can be made of, by name of the provider. */
  vendors: () => Promise<Readonly<Record<string, Vendor>>>
  /** The newest offers of all accounts, refreshed in the background. */
  offers: () => Catalogue
  /** Where they are from; none where nobody refreshes them. */
  offer_sources: () => readonly OfferSource[]
  waker: Waker
  /** Calls that this process has under way at each account. */
  lanes: Lanes
  /** How the accounts do, as this process sees it. */
  health: Health
  /** fetch for addresses that clients name: refuses private targets unless told otherwise. */
  outbound_fetch: (url: string, init: RequestInit) => Promise<Response>
  /** null: the target may be called; else why not. Names no secret. */
  check_target: (url: string) => string | null
  /** The same of what a name leads to now; it is asked again whenever it is called. */
  resolve_target: (url: string) => Promise<string | null>
  /**
   * The digest that the tag of an image stands for now; `missing`: its registry has none; `unread`: it does not tell. Never
   * rejects; `why` names no secret.
   */
  resolve_image: (
    image: string,
    login?: LaunchSecrets['registry'],
  ) => Promise<{ state: 'found'; digest: string } | { state: 'missing' | 'unread'; why: string }>
  settings: Settings
  /** How many requests may come; null: as many as do. */
  rates: Rates | null
  /** Counts what this process does; left out where nobody asks. */
  meter?: Meter & { text: () => Promise<string> }
  /** Writes down who asked what; left out where nobody keeps it. */
  access?: (access: Access) => void
  /** Remembers which keys are used; left out where nobody writes it down. */
  key_use?: KeyUse
  /** What containers fetch that know nothing of Berth. */
  runner_files: () => Promise<RunnerFiles>
  log: Log
}
