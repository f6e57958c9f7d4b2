// How often something may be tried: counted in the database, so that all servers count together, and before it is tried.
import { hash } from 'node:crypto'
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'

export const window_s = 900
interface Bound {
  name: string
  most: number
}
/** Somebody who has forgotten a password needs fewer; at this rate ten guesses a quarter of an hour find none. */
const ofPersonHere: Bound = { name: 'login', most: 10 }
/** From everywhere together. More than from one address, so that a stranger does not lock somebody out with ten guesses. */
const ofPerson: Bound = { name: 'login of', most: 100 }
/** An office behind one address. */
const ofAddress: Bound = { name: 'login from', most: 200 }
/** Mails that a stranger can have sent to somebody. */
const mails: Bound = { name: 'mail', most: 5 }
const mailsFrom: Bound = { name: 'mail from', most: 50 }

type Given = Pick<Deps, 'db' | 'clock'>

/**
 * Counts an attempt to log in. The address is null where nobody knows it: all of them count together. Throws AppError rate_limited,
 * with Retry-After.
 */
export const guardLogin = (deps: Given, email: string, address: string | null) =>
  count(deps, [
    [ofPersonHere, `${email} ${address}`],
    [ofPerson, email],
    [ofAddress, String(address)],
  ])

/** The same of what sends a mail, or takes a secret of one. */
export const guardMail = (deps: Given, email: string, address: string | null) =>
  count(deps, [
    [mails, email],
    [mailsFrom, String(address)],
  ])

export const guardAddress = (deps: Given, address: string | null) =>
  count(deps, [[mailsFrom, String(address)]])

/** The password was right: what was tried before it does not count on. */
export async function forgiveLogin({ db }: Given, email: string, address: string | null): Promise<void> {
  const keys = [keyOf(ofPersonHere, `${email} ${address}`), keyOf(ofPerson, email)]
  await db.deleteFrom('login_guards').where('key', 'in', keys).execute()
}

async function count({ db, clock }: Given, bounds: [Bound, string][]): Promise<void> {
  const now = clock.now()
  const before = new Date(now.getTime() - window_s * 1_000)
  const most = new Map(bounds.map(([bound, of]) => [keyOf(bound, of), bound.most]))
  // In one order, so that two requests do not wait for each other's rows.
  const keys = [...most.keys()].toSorted()
  const { rows } = await sql<{ key: string; tries: number; since: Date }>`
    insert into login_guards as guard (key, tries, since)
    select key, 1, ${now}::timestamptz from unnest(${keys}::text[]) as key order by key
    on conflict (key) do update set
      tries = case when guard.since < ${before} then 1 else guard.tries + 1 end,
      since = case when guard.since < ${before} then excluded.since else guard.since end
    returning key, tries, since`.execute(db)
  const over = rows.filter(({ key, tries }) => tries > (most.get(key) ?? 0))
  if (over.length === 0) return
  const since_ms = Math.max(...over.map(({ since }) => since.getTime()))
  const wait_s = Math.max(1, Math.ceil((since_ms - before.getTime()) / 1_000))
  throw new AppError('rate_limited', `Too often in a quarter of an hour: try again in ${wait_s} seconds.`, {
    headers: { 'Retry-After': String(wait_s) },
  })
}

const keyOf = ({ name }: Bound, of: string) => hash('sha256', `${name} ${of}`)
