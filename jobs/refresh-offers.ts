// Asks accounts for their offers: one server asks each account at a time, no oftener than its vendor's quota allows, and stores the
// answer for all.
import { ProviderError } from '../providers/errors.ts'
import type { MissingPart, Provider } from '../providers/provider.ts'
import { type CheckedOffers, checkOffers, type RefusedOffers } from './check-offers.ts'
import type { Deps } from './deps.ts'
import { type Listed, nextList } from './offer-list.ts'
import type { UnaskedPart } from './store/offer-tables.ts'
import { claimSource, readListed, recordAnswer, type Seen, type SourceRow } from './store/offers.ts'

/** How long an account may take to answer: its slowest part has 8 s, and parts are asked four at a time. */
export const offersCall_ms = 20_000
/** Longer than a call and its record take; then somebody else may ask. */
const claim_ms = 3 * offersCall_ms
/** Prices and stock are looked at this often, where the vendor's quota allows it; */
const often_ms = 30_000
/** and no less often, for a stale offer must be asked for a few times before it is dropped. */
const seldom_ms = 5 * 60_000
/** What reading offers may take of the calls that a vendor allows: launches and looks come first. */
const quotaShare = 0.1
/** Calls of a reading where the adapter does not say. */
const usualCalls = 3
/** Parts that are told of one account. */
const maxMissing = 20

type Refreshing = Pick<Deps, 'db' | 'clock' | 'random' | 'log'>
/** What is known of an account's offers. */
export interface Book {
  source: SourceRow
  listed: Listed[]
}

/** How long after one reading the next one is due. */
export function refreshEvery_ms(
  { offer_calls = usualCalls, calls_per_s }: Pick<Provider['traits'], 'offer_calls' | 'calls_per_s'>,
  failures = 0,
): number {
  const by_quota_ms = (offer_calls / (calls_per_s * quotaShare)) * 1_000
  return Math.min(seldom_ms, Math.max(often_ms, by_quota_ms) * 2 ** Math.min(failures, 10))
}

/** Asks an account that is due, unless somebody else does, and stores what it says; null: it was not asked, or not by us. */
export async function refreshStored(
  deps: Refreshing,
  provider: Provider,
  account_version: number,
  known: Book | null,
  call_ms: number,
): Promise<Book | null> {
  const { name, account } = provider
  const now = deps.clock.now()
  const claim = Buffer.from(deps.random(12)).toString('base64url')
  const until = new Date(now.getTime() + claim_ms)
  const row = await claimSource(deps.db, { provider: name, account, account_version, claim, now, until })
  if (!row) return null
  const listed = known?.source.version === row.version ? known.listed : await readListed(deps.db, row)
  const { next, seen } = await ask(deps, provider, { source: row, listed }, call_ms)
  const source = await recordAnswer(deps.db, row, next, { ...seen, account_version })
  return source && { source, listed: next.list }
}

/** The same of an account whose offers are of this server alone: they are not stored. */
export async function refreshOwn(
  deps: Refreshing,
  provider: Provider,
  known: Book | null,
  call_ms: number,
): Promise<Book> {
  const before = known ?? { source: unaskedOf(provider, deps.clock.now()), listed: [] }
  const { next, seen, tried_at } = await ask(deps, provider, before, call_ms)
  return { source: { ...before.source, ...seen, tried_at }, listed: next.list }
}

const unaskedOf = ({ name, account }: Provider, now: Date): SourceRow => ({
  provider: name,
  account,
  account_version: 0,
  version: 0,
  due_at: now,
  claim: null,
  claimed_until: null,
  tried_at: null,
  asked_at: null,
  failures: 0,
  error: null,
  missing: [],
  refused: [],
})

interface Asked extends CheckedOffers {
  missing: MissingPart[]
  /** null: it answered. */
  error: string | null
}

async function ask(deps: Refreshing, provider: Provider, { source, listed }: Book, call_ms: number) {
  const asked_at = deps.clock.now()
  const { offers, refused, missing, error } = await answerOf(provider, call_ms)
  const now = deps.clock.now()
  const next = nextList(listed, { offers, missing, asked_at }, source.asked_at, now)
  const failures = error === null ? 0 : source.failures + 1
  const seen: Omit<Seen, 'account_version'> = {
    due_at: new Date(now.getTime() + refreshEvery_ms(provider.traits, failures)),
    asked_at: error === null ? asked_at : source.asked_at,
    failures,
    error,
    missing: error === null ? missing.slice(0, maxMissing).map(partOf) : [],
    // Of an account that did not answer the last ones are still what is known.
    refused: error === null ? refused : source.refused,
  }
  tell(deps, provider, source, seen)
  return { next, seen, tried_at: asked_at }
}

async function answerOf(provider: Provider, call_ms: number): Promise<Asked> {
  const missing: MissingPart[] = []
  try {
    const signal = AbortSignal.timeout(call_ms)
    const answer = await within(
      signal,
      provider.offers(signal, (part) => void missing.push(part)),
    )
    return { ...checkOffers(answer, provider), missing, error: null }
  } catch (error) {
    const all = { name: 'all of it', error, has: () => true }
    return { offers: [], refused: [], missing: [all], error: messageOf(error) }
  }
}

/** An adapter that does not heed its signal is not waited for. */
function within<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  work.catch(() => undefined)
  const { promise, reject } = Promise.withResolvers<never>()
  const end = () => reject(new Error('no answer in time'))
  signal.addEventListener('abort', end, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', end))
}

const partOf = ({ name, error }: MissingPart): UnaskedPart => ({
  name: name.slice(0, 100),
  error: messageOf(error),
})

/** Only what an adapter throws on purpose is known to hold no secret. */
function messageOf(error: unknown): string {
  if (error instanceof ProviderError) return `${error.code}: ${error.detail}`.slice(0, 500)
  return error instanceof Error && error.message === 'no answer in time'
    ? error.message
    : 'an unexpected error'
}

/** Says what has changed, once. */
function tell(
  { log }: Pick<Deps, 'log'>,
  { name, account }: Provider,
  before: Pick<Seen, 'error' | 'missing' | 'refused'>,
  { error, missing, refused }: Pick<Seen, 'error' | 'missing' | 'refused'>,
): void {
  const at = { provider: name, account }
  if (error !== null && error !== before.error) log('warn', 'offers failed', { ...at, error })
  if (error === null && before.error !== null) log('info', 'offers are answered again', at)
  if (missing.length > 0 && namesOf(missing) !== namesOf(before.missing))
    log('warn', 'parts of the offers failed', { ...at, parts: missing })
  if (refused.length > 0 && reasonsOf(refused) !== reasonsOf(before.refused))
    log('warn', 'offers were refused', { ...at, refused })
}

const namesOf = (parts: readonly UnaskedPart[]) => JSON.stringify(parts.map(({ name }) => name).toSorted())
const reasonsOf = (refused: readonly RefusedOffers[]) =>
  JSON.stringify(refused.map(({ reason, count }) => `${reason} ${count}`).toSorted())
