// What a process has seen of the accounts that it calls. jobs/watched.ts asks and tells; jobs/parking.ts writes it where all replicas
// read it.
import type { ProviderError, ProviderErrorCode } from '../providers/errors.ts'
import { type Admitted, type Breaker, createBreaker } from './breaker.ts'
import { type Bucket, createBucket } from './bucket.ts'
import type { Clock } from './deps.ts'
import type { Meter } from './figures.ts'
import { parks } from './memory.ts'
import { NotAsked } from './not-asked.ts'
import { accountKey } from './store/open.ts'

export const providerCalls = [
  'launch',
  'stop',
  'inspect',
  'list',
  'offers',
  'check',
  'tail',
  'devices',
] as const
export type ProviderCall = (typeof providerCalls)[number]

/** Upper bounds of the buckets of latencies, in ms; the last one has none. */
export const latencies_ms = [
  20, 50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 60_000,
] as const
/** Calls are counted by five minutes: of the hour that is shown an eighth at most is older. */
export const slot_ms = 300_000
export const kept_ms = 3_600_000
/** A pass waits no longer for one account: what was not looked at is looked at next time. */
const inspectWait_ms = 2_000
/** Less than any call may take, waiting and all. */
const wait_ms = 10_000

/** Errors after which the same call at once would only come to the same. A refusal for stock or quota is an answer. */
const failing: ReadonlySet<ProviderErrorCode> = new Set(['unavailable', 'unknown_outcome', 'unauthorized'])
/** Calls whose permissions an account cannot do without; a launch that is refused is told by its own commit. */
const parking: ReadonlySet<ProviderCall> = new Set(['stop', 'inspect', 'list', 'offers'])

export interface AccountName {
  provider: string
  account: string
}

/** Calls of one kind that came to the same, in a stretch of time. */
export interface Counted extends AccountName {
  call: ProviderCall
  slot_at: Date
  result: ProviderErrorCode | 'ok'
  /** Place in latencies_ms, or its length. */
  bucket: number
  count: number
}

export interface LastError extends AccountName {
  call: ProviderCall
  code: ProviderErrorCode
  detail: string
  at: Date
}

/** What is to be known of an account everywhere. */
export type Told = AccountName & { at: Date } & (
    | { state: 'open'; code: ProviderErrorCode; detail: string; since: Date; probe_at: Date }
    | { state: 'closed' }
    | { state: 'parked'; code: 'unauthorized' | 'balance'; detail: string }
  )

export interface Seen {
  counts: Counted[]
  errors: LastError[]
  told: Told[]
}

/** A call that may be made. */
export interface Turn extends AccountName {
  call: ProviderCall
  as: Admitted
  began_ms: number
}

export interface Health {
  /** Waits for the turn of a call, if need be. Throws NotAsked. */
  admit: (account: AccountName, call: ProviderCall, per_s: number, signal: AbortSignal) => Promise<Turn>
  /** What came of it; null: it succeeded. */
  ended: (turn: Turn, error: ProviderError | null) => void
  /** It was opened with other settings or credentials: what was seen before says nothing of it. */
  renew: (account: AccountName) => void
  /** Replicas that call the same accounts: each has its share of the vendor's rate. */
  share: (replicas: number) => void
  /** What was seen since the last time. */
  drain: () => Seen
  /** It could not be written. */
  putBack: (seen: Seen) => void
  /** Accounts whose reads wait for a probe that is due. */
  due: () => string[]
}

interface Account extends AccountName {
  reads: Breaker
  writes: Breaker
  bucket: Bucket
}

interface Given {
  clock: Clock
  /** Resolves after so many milliseconds, or rejects when the signal aborts. */
  pause: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** There is something to write at once. */
  tell: () => void
  /** Counts calls for who scrapes; nobody need. */
  meter?: Meter
}

export function createHealth(given: Given): Health {
  const { clock } = given
  const accounts = new Map<string, Account>()
  const unwritten: Unwritten = { counts: new Map(), errors: new Map(), told: new Map() }
  let replicas = 1
  const accountOf = ({ provider, account }: AccountName): Account => {
    const key = accountKey({ provider, account })
    const known = accounts.get(key) ?? {
      provider,
      account,
      reads: createBreaker(),
      writes: createBreaker(),
      bucket: createBucket(),
    }
    accounts.set(key, known)
    return known
  }
  return {
    admit: (account, call, per_s, signal) => admit(given, accountOf(account), call, per_s / replicas, signal),
    ended(turn, error) {
      measure(given, turn, error)
      if (note(unwritten, accountOf(turn), turn, error, clock.now())) given.tell()
    },
    renew(account) {
      Object.assign(accountOf(account), { reads: createBreaker(), writes: createBreaker() })
    },
    share: (live) => void (replicas = Math.max(1, live)),
    drain() {
      const oldest_ms = clock.now().getTime() - kept_ms
      const { counts, errors, told } = unwritten
      const seen: Seen = {
        counts: [...counts.values()].filter(({ slot_at }) => slot_at.getTime() >= oldest_ms),
        errors: [...errors.values()],
        told: [...told.values()],
      }
      for (const kept of [counts, errors, told]) kept.clear()
      return seen
    },
    putBack(seen) {
      for (const each of seen.counts) addCount(unwritten, each)
      for (const each of seen.errors)
        if (!unwritten.errors.has(accountKey(each))) unwritten.errors.set(accountKey(each), each)
      for (const each of seen.told)
        if (!unwritten.told.has(toldKey(each))) unwritten.told.set(toldKey(each), each)
    },
    due() {
      const now_ms = clock.now().getTime()
      return [...accounts].flatMap(([key, { reads }]) => {
        const open = reads.open()
        return open && open.probe_ms <= now_ms ? [key] : []
      })
    },
  }
}

interface Unwritten {
  counts: Map<string, Counted>
  errors: Map<string, LastError>
  told: Map<string, Told>
}

async function admit(
  { clock, pause }: Given,
  of: Account,
  call: ProviderCall,
  per_s: number,
  signal: AbortSignal,
): Promise<Turn> {
  const { provider, account, bucket } = of
  const breaker = breakerOf(of, call)
  const now_ms = clock.now().getTime()
  const as = breaker.admits(now_ms)
  if (!as) throw new NotAsked('unavailable', provider, whyOpen(breaker))
  const turn_ms = bucket.take(now_ms, per_s, call === 'inspect' ? inspectWait_ms : wait_ms)
  const isLate =
    turn_ms === null ||
    (turn_ms > 0 &&
      (await pause(turn_ms, signal).then(
        () => false,
        () => true,
      )))
  if (!isLate) return { provider, account, call, as, began_ms: clock.now().getTime() }
  breaker.withdrawn(as)
  throw new NotAsked('throttled', provider, 'as many calls are made of it as its vendor allows')
}

function measure({ clock, meter }: Given, turn: Turn, error: ProviderError | null): void {
  const { provider, account, call, began_ms } = turn
  meter?.count('berth_provider_calls_total', { provider, account, call, result: error?.code ?? 'ok' })
  const seconds = (clock.now().getTime() - began_ms) / 1_000
  meter?.observe('berth_provider_call_seconds', { provider, account, call }, Math.max(0, seconds))
}

/** Answers whether there is something that all must know at once. */
function note(
  unwritten: Unwritten,
  of: Account,
  { call, as, began_ms }: Turn,
  error: ProviderError | null,
  at: Date,
): boolean {
  const { provider, account } = of
  const ms = at.getTime() - began_ms
  const bucket = latencies_ms.findIndex((most_ms) => ms <= most_ms)
  addCount(unwritten, {
    provider,
    account,
    call,
    slot_at: new Date(Math.floor(at.getTime() / slot_ms) * slot_ms),
    result: error?.code ?? 'ok',
    bucket: bucket === -1 ? latencies_ms.length : bucket,
    count: 1,
  })
  const told = toldOf(of, breakerOf(of, call), as, error, at)
  if (told) unwritten.told.set(toldKey(told), told)
  if (!error) return told !== null
  const { code, detail } = error
  unwritten.errors.set(accountKey(of), { provider, account, call, code, detail, at })
  if (!parks(code) || !parking.has(call)) return told !== null
  const parked: Told = { provider, account, at, state: 'parked', code, detail }
  unwritten.told.set(toldKey(parked), parked)
  return true
}

/** What a call says of its breaker that was not known. */
function toldOf(
  of: Account,
  breaker: Breaker,
  as: Admitted,
  error: ProviderError | null,
  at: Date,
): Told | null {
  const { provider, account, reads, writes } = of
  if (!error || !failing.has(error.code)) {
    const isClosed = breaker.succeeded() && !reads.open() && !writes.open()
    return isClosed ? { provider, account, at, state: 'closed' } : null
  }
  const open = breaker.failed(at.getTime(), as) ? breaker.open() : null
  if (!open) return null
  const { code, detail } = error
  const times = { since: new Date(open.since_ms), probe_at: new Date(open.probe_ms) }
  return { provider, account, at, state: 'open', code, detail, ...times }
}

function addCount({ counts }: Unwritten, each: Counted): void {
  const key = `${accountKey(each)} ${each.call} ${each.slot_at.getTime()} ${each.result} ${each.bucket}`
  const known = counts.get(key)
  if (known) known.count += each.count
  else counts.set(key, { ...each })
}

/** The last word of a breaker is kept, and beside it one of parking. */
const toldKey = (told: Told) => `${accountKey(told)} ${told.state === 'parked' ? 'parked' : 'breaker'}`

/** Whoever cannot be read may take orders, and the other way round: each has its own probes. */
const breakerOf = ({ reads, writes }: Account, call: ProviderCall): Breaker =>
  call === 'launch' || call === 'stop' ? writes : reads

function whyOpen(breaker: Breaker): string {
  const open = breaker.open()
  return `it has not answered since ${open ? new Date(open.since_ms).toISOString() : 'a while'}, and is tried now and then`
}
