// The offers that this server places by: of accounts at vendors as they are stored, whoever asked; of its own machine as it asks itself.
import { type Catalogue, keepCatalogue } from '../jobs/catalogue.ts'
import type { Deps, OfferSource } from '../jobs/deps.ts'
import { dated, isFresh, type Listed } from '../jobs/offer-list.ts'
import { type Book, offersCall_ms, refreshOwn, refreshStored } from '../jobs/refresh-offers.ts'
import { readListed, readSources } from '../jobs/store/offers.ts'
import type { Offer, Provider } from '../providers/provider.ts'
import type { Accounts } from './accounts.ts'

type Looking = Pick<Deps, 'db' | 'clock' | 'random' | 'log'>

export interface OfferBooks {
  /** Those that may be placed by now. */
  now: () => Catalogue
  /** Of each account: when it answered, and what was wrong with the answer. */
  sources: () => readonly OfferSource[]
  /** Takes in what is stored, and begins to ask the accounts that are due. */
  look: (deps: Looking) => Promise<void>
  /** Resolves when nobody is being asked. */
  settled: () => Promise<void>
  /** Both. */
  refresh: (deps: Looking) => Promise<void>
}

interface Kept extends Book {
  provider: Provider
}

type Books = ReadonlyMap<string, Kept>

/** `asks`: whether this server asks vendors, or goes by what others have stored. */
export function keepOffers(
  accounts: Accounts,
  { asks, call_ms = offersCall_ms }: { asks: boolean; call_ms?: number },
): OfferBooks {
  const catalogued = keepCatalogue()
  const asking = new Map<string, Promise<void>>()
  let books: Books = new Map()
  let shown: { offers: Catalogue; mark: string } = { offers: [], mark: '' }
  const show = (now: Date) => {
    const mark = markOf(accounts, books, now)
    if (mark === shown.mark) return
    const offers = accounts.providers.flatMap((provider) => offersOf(accounts, provider, books, now))
    shown = { offers: catalogued(offers), mark }
  }
  const begin = (deps: Looking, provider: Provider, known: Book | null) => {
    const key = keyOf(provider)
    const version = accounts.versionOf(provider)
    const asked = isHere(provider)
      ? refreshOwn(deps, provider, known, call_ms)
      : refreshStored(deps, provider, version, known, call_ms)
    const kept = asked
      .then((book) => {
        if (!book || !accounts.providers.includes(provider)) return
        books = new Map(books).set(key, { ...book, provider })
        show(deps.clock.now())
      })
      .catch((error: unknown) =>
        deps.log('error', 'offers were not stored', { account: key, error: String(error) }),
      )
      .finally(() => asking.delete(key))
    asking.set(key, kept)
  }
  const look = async (deps: Looking) => {
    const stored = await readStored(deps, accounts, books)
    // In one step: what has been asked meanwhile is in `books`.
    books = merged(accounts, books, stored)
    const now = deps.clock.now()
    show(now)
    for (const provider of accounts.providers) {
      const known = books.get(keyOf(provider)) ?? null
      const isMine = asks || isHere(provider)
      if (isMine && !asking.has(keyOf(provider)) && isDue(known, accounts.versionOf(provider), now))
        begin(deps, provider, known)
    }
  }
  const settled = async () => {
    while (asking.size > 0) await Promise.all(asking.values())
  }
  return {
    now: () => shown.offers,
    sources: () => [...books.values()].map(sourceOf),
    look,
    settled,
    async refresh(deps) {
      await look(deps)
      await settled()
    },
  }
}

/** What is stored of the accounts; rows are read where they have changed since this server read them. */
async function readStored(deps: Looking, accounts: Accounts, books: Books): Promise<Books> {
  const sources = new Map((await readSources(deps.db)).map((row) => [`${row.provider}/${row.account}`, row]))
  const stored = new Map<string, Kept>()
  for (const provider of accounts.providers) {
    const key = keyOf(provider)
    const source = sources.get(key)
    if (!source || isHere(provider)) continue
    const known = books.get(key)
    // Rows are at least as new as their source, which was read first; if they are newer, the next look reads them again.
    const listed = known?.source.version === source.version ? known.listed : await readListed(deps.db, source)
    stored.set(key, { source, listed, provider })
  }
  return stored
}

function merged(accounts: Accounts, books: Books, stored: Books): Books {
  const next = new Map<string, Kept>()
  for (const provider of accounts.providers) {
    const key = keyOf(provider)
    const [known, found] = [books.get(key), stored.get(key)]
    const isKnown = known !== undefined && (!isHere(provider) || known.provider === provider)
    // What this server has stored itself meanwhile is newer than what it has read.
    const isNewer = isKnown && (!found || known.source.version > found.source.version)
    if (isNewer) next.set(key, { ...known, provider })
    else if (found) next.set(key, found)
  }
  return next
}

/** Equal where the offers that may be placed by are: it is computed every few seconds, for tens of thousands of offers. */
function markOf(accounts: Accounts, books: Books, now: Date): string {
  const marks = [...books].map(([key, { source, listed, provider }]) => {
    const { version, asked_at } = source
    const fresh = listed.filter((each) => isKept(each, asked_at, now)).length
    return [
      key,
      version,
      asked_at?.getTime(),
      source.tried_at?.getTime(),
      fresh,
      accounts.versionOf(provider),
    ]
  })
  return JSON.stringify([accounts.state(), marks])
}

const keyOf = ({ name, account }: Pick<Provider, 'name' | 'account'>) => `${name}/${account}`
const isHere = ({ traits }: Provider) => traits.machines === 'here'

const isDue = (known: Book | null, account_version: number, now: Date) =>
  known === null ||
  known.source.due_at <= now ||
  (known.source.account_version < account_version && known.source.claim === null)

/** Whoever asks an account may be gone or late: what nobody has confirmed for too long is not placed by. */
function isKept({ stale_at }: Listed, asked_at: Date | null, now: Date): boolean {
  const confirmed_at = stale_at ?? asked_at
  return confirmed_at !== null && isFresh(confirmed_at, now)
}

function offersOf(accounts: Accounts, provider: Provider, books: Books, now: Date): Offer[] {
  const book = books.get(keyOf(provider))
  if (!book) return []
  const { asked_at } = book.source
  return book.listed
    .filter((listed) => isKept(listed, asked_at, now) && accounts.allows(provider, listed.offer))
    .map((listed) => dated(listed, asked_at))
}

function sourceOf({ source, listed }: Kept): OfferSource {
  const { provider, account, asked_at, tried_at, due_at, error, failures, missing, refused } = source
  const rates = new Map(
    listed.flatMap(({ offer }) => {
      const { charged } = offer.price ?? {}
      return charged?.rate ? [[charged.currency, charged.rate] as const] : []
    }),
  )
  return {
    provider,
    account,
    asked_at,
    tried_at,
    due_at,
    error,
    failures,
    missing,
    refused,
    offers: listed.length,
    stale: listed.filter(({ stale_at }) => stale_at !== null).length,
    rates: [...rates].map(([currency, rate]) => ({ currency, ...rate })),
  }
}
