// What the suite needs of an adapter's author: how to open an account to try it on, and what its back end can be made to do.
import type { LaunchRequest, LaunchSecrets, Offer, Provider } from '../provider.ts'

export interface Subject {
  name: string
  /** An account with nothing in it that a case before has left. Called once for each case. */
  open(): Promise<World>
}

export interface World {
  /** A new adapter of the same account each time, as another replica makes it: nothing is shared in memory. */
  provider(): Provider
  /** A request that can start. `requestFor` makes one of an offer. */
  request(attempt_id: string): LaunchRequest | Promise<LaunchRequest>
  /** What must never be shown: keys, passwords, and every other value that the adapter holds in confidence. */
  secrets: readonly string[]
  /** Lets time pass at the back end: a sleep for a real one, a step of its clock for a fake. */
  pass(ms: number): Promise<void>
  /** How long anything may take there until it is seen: a start, an end, a stop. */
  patience_ms: number
  /** The more of it there is, the more is proved; the cases of what is missing are skipped, and say so. */
  back: BackEnd
  close(): Promise<void>
}

/** The call of the adapter whose work the vendor spoils. */
export const calls = ['launch', 'stop', 'inspect', 'list', 'offers'] as const
export type Call = (typeof calls)[number]

/** How the vendor answers. */
export const faults = [
  'capacity',
  'quota',
  'balance',
  'throttled',
  'unauthorized',
  'rejected', // the request itself is refused
  'echo', // refused, with the whole request in the message, its credentials and environment too
  'server_error', // its own way to say that it failed
  'html', // 502 of a proxy
  'malformed', // success, with a body that cannot be read
  'truncated', // success, cut off in the middle of the body
  'reset', // the connection
  'hang', // no answer, ever
] as const
export type Fault = (typeof faults)[number]

/** The vendor's side of the account. */
export interface BackEnd {
  /** Its own truth: how many things of this attempt cost money now. */
  things?(attempt_id: string): Promise<number>
  /**
   * From now on, until calm(), the vendor's requests that do this call's work are answered so; the first `after` of them
   * are still answered well. For launch and stop: the one that changes something. false: this vendor cannot answer so.
   */
  fail?(call: Call, fault: Fault, after?: number): boolean
  calm?(): void
  /**
   * Adapters made from now on give a call up after a second or two: asked for before what some notice by
   * their bound alone, so that it ends soon.
   */
  hurry?(): void
  /** The next launch or stop takes effect, and its answer is lost. */
  loseAnswer?(call: 'launch' | 'stop'): void
  /** What is launched from now on is missing from reads for this long. */
  hide?(ms: number): void
  /** It is taken away from outside, without a trace. */
  vanish?(attempt_id: string): Promise<void>
  /** Its work ends by itself. */
  finish?(attempt_id: string, exit_code: number): Promise<void>
  /** Set where the vendor has no exit codes. */
  no_exit_codes?: true
  /** It is ended, for a reason that the vendor tells. */
  end?: Partial<Record<EndReason, (attempt_id: string) => Promise<void>>>
  /** Called before the launch, which then has to wait, for a reason that the vendor tells. */
  hinder?: Partial<Record<WaitReason, (attempt_id: string) => Promise<void>>>
  /** Puts things there that are not ours: of another installation, and of nobody. */
  foreign?(): Promise<void>
  /** Leaves a helper (secret, volume, job definition) of ours there, as after a crash; answers its name. */
  helper?(): Promise<string>
  /** Lists come in pages of this many from now on. */
  pages?(size: number): void
  /** Requests that the vendor has had so far. */
  calls?(): number
  /** Requests that one full batch of inspect takes where it is more than one: several lists, pages. */
  calls_per_inspect?: number
  /** How many things are really launched for 1,000 refs; all, if left out. */
  crowd?: number
  /** When the vendor would end it by itself. */
  deadMan?(attempt_id: string): Promise<Date | null>
  /** Seconds that the vendor would bill until now. */
  bill?(attempt_id: string): Promise<number>
  /** It writes this to its output. */
  print?(attempt_id: string, text: string): Promise<void>
  /** An adapter whose credentials the vendor does not take. */
  stranger?(): Provider
  /** Given with each launch. */
  registry?: NonNullable<LaunchSecrets['registry']>
}

export const endReasons = ['preempted', 'out_of_memory', 'deadline'] as const
export type EndReason = (typeof endReasons)[number]
export const waitReasons = ['image', 'capacity', 'quota'] as const
export type WaitReason = (typeof waitReasons)[number]

/** A launch as the core asks for it. */
export function requestFor(
  attempt_id: string,
  offer: Offer,
  given: Pick<LaunchRequest, 'deadline_at'> & Partial<LaunchRequest>,
): LaunchRequest {
  const installation = given.installation ?? '4q7k2m'
  return {
    attempt_id,
    name: `berth-${installation.slice(0, 6)}-${attempt_id.slice('att_'.length)}`,
    installation,
    kind: 'custom',
    offer,
    image: null,
    command: null,
    device: 'cpu',
    cpu: Math.min(1, offer.cpu),
    memory_gib: Math.min(1, offer.memory_gib),
    disk_gib: Math.min(1, offer.disk_gib),
    berth_url: 'http://127.0.0.1:9',
    ...given,
  }
}
