// What decide.ts reads and what it answers, as plain data.
import type { Selectable } from 'kysely'
import type { Handle, LaunchRequest, Observation, Offer, ProviderTraits } from '../providers/provider.ts'
import type { Container } from './containers.ts'
import type { RememberedCode } from './memory.ts'
import type { Ranking } from './place.ts'
import type { RankingView } from './ranking-view.ts'
import type { Money } from './shards.ts'
import type { Outcome, StopReason, TerminalState } from './state.ts'
import type { JobError, Tables, Warning } from './store/schema.ts'

export type JobRow = Selectable<Tables['jobs']>
export type ShardRow = Selectable<Tables['shards']>
export type DatasetRow = Selectable<Tables['datasets']>
export type AttemptRow = Selectable<Tables['attempts']>

export interface AttemptView {
  row: AttemptRow
  traits: ProviderTraits
  /** What the provider says now; null: not asked this time. */
  seen: Observation | null
  /** The runner's last word, and whether it ever reported progress. */
  heard_at: Date | null
  progressed: boolean
}

/** A job that is at work on what another waits for. */
export interface Leader {
  id: string
  /** Its result is there, and it is the whole one. */
  done: boolean
  result: unknown
}

export interface Snapshot {
  job: JobRow
  shard: ShardRow
  /** Attempts of the shard that have not ended, oldest first. */
  attempts: AttemptView[]
  /** When the providers were asked: what they say is true of no later time. */
  asked_at: Date
  /** How often a provider is asked about a healthy attempt. */
  look_s: number
  money: Money
  /** The job whose result this one waits for; null: it waits for none. */
  leader: Leader | null
  /** For a waiting shard: what placement says, and how that is stored. */
  ranking: Ranking | null
  ranking_view: (ranking: Ranking) => RankingView
  /** Of the work: equal for work whose durations foretell each other. */
  signature: string
  /** Ids and bounds for an attempt that may be launched; made outside because they are random. */
  fresh: { attempt_id: string; name: string; nonce: string; installation: string; berth_url: string }
  /** Whether an offer of a provider other than this and those excluded could ever take the work. */
  elsewhere: (provider: string) => boolean
  traits_of: (provider: string, account: string) => ProviderTraits
  /** What a container of the work is started with; null: no image is named for it. */
  container: Container | null
  /** Whether it is remembered that an offer, or its account, refused a launch. */
  has_refused: (offer: Offer) => boolean
}

/** A fact to write. commitDecisions is the only one that does. */
export type Change =
  /** `announced`: its call is made right after the commit, and the intent says so already. */
  | { change: 'launch'; attempt: NewAttempt; announced: boolean }
  | { change: 'launched'; attempt_id: string; handle: Handle }
  /** What runs already and was launched by a database that is gone: from now on it is this attempt. */
  | { change: 'adopted'; attempt_id: string; handle: Handle; since: Date; instance: string }
  | { change: 'run'; attempt_id: string; started_at: Date }
  | { change: 'order_stop'; attempt_id: string; reason: StopReason; stop_by: Date }
  | {
      change: 'sight'
      attempt_id: string
      seen: Observation
      gone_since: Date | null
      exited_since: Date | null
    }
  | {
      change: 'conclude'
      attempt_id: string
      outcome: Outcome
      exit_code: number | null
      error: JobError | null
      unmade?: true
    }
  | { change: 'end'; attempt_id: string }
  | {
      change: 'requeue'
      after: Outcome
      not_before: Date
      exclude_provider: string | null
      /** The shape it waits with: it differs from the others now. */
      shape_hash: string
      uses_up: boolean
      progressed: boolean
    }
  | {
      change: 'finish'
      state: TerminalState
      outcome: Outcome | null
      error: JobError | null
      warnings: Warning[]
      result: unknown
      /** The job that made the result; null: this one. */
      cached_from: string | null
    }
  /** Pays for the next metering period; without room in a budget the attempt is told to stop. */
  | { change: 'extend'; attempt_id: string; stop_by: Date }
  /** The shard waits on, and not for a place. */
  | { change: 'park'; reason: 'budget'; not_before: Date }
  /** From now on it stands in the queue. */
  | { change: 'queue' }
  /** An offer refused a launch, or took one after it had refused others. */
  | { change: 'refused'; offer: Offer; code: RememberedCode; detail?: string }
  | { change: 'taken'; offer: Offer }
  | { change: 'cancelling' }

export interface NewAttempt {
  id: string
  nonce: string
  request: LaunchRequest
  kind: string
  /** Equal for work whose durations foretell each other. */
  signature: string
  /** What it was chosen from, for who asks why. */
  ranking: RankingView | null
  usd_micros_per_hour: number
  basis: 'billed' | 'modelled'
  min_billing_s: number
  timeout_s: number
  timeout_reason: 'timed_out' | 'over_budget'
  /** Seconds of the vendor's bill that its share of the job's budget pays for, without the stop after them; null: no such budget. */
  paid_s: number | null
}

/** A call to make after the commit. */
export type Call = { call: 'launch' | 'stop'; attempt_id: string }

export interface Plan {
  changes: Change[]
  calls: Call[]
  /** When a pass should look again; null: nothing is left to do. */
  due_at: Date | null
}

/** What concludes an attempt. */
export interface Ended {
  outcome: Outcome
  exit_code: number | null
  error: JobError | null
  /** Its vendor gave up making it: it was never there, and is on no bill. */
  unmade?: true
}

/** Keeps the earliest time at which something may have to be done. */
export function lookAt(plan: Plan, at: Date) {
  if (!plan.due_at || at < plan.due_at) plan.due_at = at
}

/** Whether its provider knows of something that was made. */
export const isThere = ({ state }: Observation): boolean => state !== 'gone' && state !== 'unseen'

/** A time some seconds later. */
export function after(at: Date, seconds: number): Date {
  return new Date(at.getTime() + Math.round(seconds * 1_000))
}
