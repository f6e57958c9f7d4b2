// What accounts offer, as one server stores it and all read it.
import { type Selectable, sql } from 'kysely'
import { type Listed, type NextList, type Note } from '../offer-list.ts'
import { usdToMicros } from '../cost.ts'
import type { OfferTables } from './offer-tables.ts'
import type { Database, Tx } from './schema.ts'

export type SourceRow = Selectable<OfferTables['offer_sources']>

/** Rows of one statement. */
const batch = 1_000

export const readSources = (db: Database): Promise<SourceRow[]> =>
  db.selectFrom('offer_sources').selectAll().execute()

export async function readListed(
  db: Database,
  { provider, account }: Pick<SourceRow, 'provider' | 'account'>,
): Promise<Listed[]> {
  const rows = await db
    .selectFrom('offers')
    .select(['offer', 'stale_at', 'noted_usd_micros', 'noted_available', 'noted_at'])
    .where('provider', '=', provider)
    .where('account', '=', account)
    .execute()
  return rows.map(({ offer, stale_at, noted_usd_micros, noted_available, noted_at }) => ({
    offer,
    stale_at,
    noted: { usd_micros: noted_usd_micros, available: noted_available, at: noted_at },
  }))
}

export interface Claim extends Pick<SourceRow, 'provider' | 'account' | 'account_version'> {
  claim: string
  now: Date
  until: Date
}

/** The right to ask an account that is due, or was changed; null: somebody else has it, or nothing is due. */
export async function claimSource(db: Database, of: Claim): Promise<SourceRow | null> {
  const { provider, account, account_version, claim, now, until } = of
  const { rows } = await sql<SourceRow>`
    insert into offer_sources as it
      (provider, account, account_version, version, due_at, claim, claimed_until, tried_at)
    -- Above every version of an account that was forgotten and comes back.
    values (${provider}, ${account}, ${account_version}, ${now.getTime()}, ${now}, ${claim}, ${until}, ${now})
    on conflict (provider, account) do update
      set claim = excluded.claim, claimed_until = excluded.claimed_until, tried_at = excluded.tried_at
      where (it.claimed_until is null or it.claimed_until <= ${now})
        and (it.due_at <= ${now} and it.account_version = excluded.account_version
          or it.account_version < excluded.account_version)
    returning *`.execute(db)
  return rows[0] ?? null
}

/** What was seen of a source besides its offers. */
export type Seen = Pick<
  SourceRow,
  'account_version' | 'due_at' | 'asked_at' | 'failures' | 'error' | 'missing' | 'refused'
>

/** Stores an answer; null: the claim was lost, and nothing is stored. */
export async function recordAnswer(
  db: Database,
  { provider, account, claim }: Pick<SourceRow, 'provider' | 'account' | 'claim'>,
  next: Pick<NextList, 'put' | 'drop' | 'notes'>,
  seen: Seen,
): Promise<SourceRow | null> {
  return db.transaction().execute(async (tx) => {
    const isChanged = next.put.length + next.drop.length > 0
    const row = await tx
      .updateTable('offer_sources')
      .set({
        ...seen,
        missing: JSON.stringify(seen.missing),
        refused: JSON.stringify(seen.refused),
        version: sql<number>`version + ${isChanged ? 1 : 0}`,
        claim: null,
        claimed_until: null,
      })
      .where('provider', '=', provider)
      .where('account', '=', account)
      .where('claim', '=', claim)
      .returningAll()
      .executeTakeFirst()
    if (!row) return null
    for (const listed of batches(next.put)) await putOffers(tx, listed)
    for (const listed of batches(next.drop)) await dropOffers(tx, listed)
    for (const notes of batches(next.notes)) await writeHistory(tx, notes)
    return row
  })
}

function* batches<Item>(items: readonly Item[]): Iterable<readonly Item[]> {
  for (let at = 0; at < items.length; at += batch) yield items.slice(at, at + batch)
}

async function putOffers(tx: Tx, listed: readonly Listed[]): Promise<void> {
  const rows = listed.map(({ offer, stale_at, noted }) => ({
    ...placeOf(offer),
    offer,
    stale_at,
    noted_usd_micros: noted.usd_micros,
    noted_available: noted.available,
    noted_at: noted.at,
  }))
  await sql`
    insert into offers (provider, account, region, offer_id, spot, offer, stale_at, noted_usd_micros, noted_available, noted_at)
    select * from json_to_recordset(${JSON.stringify(rows)}::json) as given(provider text, account text, region text,
      offer_id text, spot boolean, offer json, stale_at timestamptz, noted_usd_micros bigint, noted_available bigint,
      noted_at timestamptz)
    on conflict (provider, account, region, offer_id, spot) do update set offer = excluded.offer,
      stale_at = excluded.stale_at, noted_usd_micros = excluded.noted_usd_micros,
      noted_available = excluded.noted_available, noted_at = excluded.noted_at`.execute(tx)
}

async function dropOffers(tx: Tx, listed: readonly Listed[]): Promise<void> {
  const rows = listed.map(({ offer }) => placeOf(offer))
  await sql`
    delete from offers using json_to_recordset(${JSON.stringify(rows)}::json)
      as given(provider text, account text, region text, offer_id text, spot boolean)
    where offers.provider = given.provider and offers.account = given.account and offers.region = given.region
      and offers.offer_id = given.offer_id and offers.spot = given.spot`.execute(tx)
}

async function writeHistory(tx: Tx, notes: readonly Note[]): Promise<void> {
  const rows = notes.map(({ offer, at, listed }) => {
    const { usd_per_hour, available, price } = offer
    const { currency, per_hour } = price?.charged ?? { currency: 'USD', per_hour: usd_per_hour }
    const usd_micros_per_hour = usdToMicros(usd_per_hour)
    return { ...placeOf(offer), at, usd_micros_per_hour, currency, per_hour, available, listed }
  })
  await sql`
    insert into offer_history (provider, account, region, offer_id, spot, at, usd_micros_per_hour, currency, per_hour,
      available, listed)
    select * from json_to_recordset(${JSON.stringify(rows)}::json) as given(provider text, account text, region text,
      offer_id text, spot boolean, at timestamptz, usd_micros_per_hour bigint, currency text,
      per_hour double precision, available bigint, listed boolean)`.execute(tx)
}

const placeOf = ({ provider, account, region, id, spot }: Listed['offer']) => ({
  provider,
  account,
  region,
  offer_id: id,
  spot,
})

/** Rows of history at most: half a gigabyte, years of a desk's accounts. */
const maxHistory = 1_000_000
/** Accounts that nobody has asked for this long are gone. */
const gone_ms = 86_400_000
/** Rows of one statement, and statements of one round; the next takes the rest. */
const pruneBatch = 5_000
const maxBatches = 20

/** Forgets history that is too old or too much, and accounts that are gone. */
export async function pruneOffers(db: Database, before: Date, now: Date): Promise<void> {
  const old = sql`select id from offer_history where at < ${before} order by at limit ${pruneBatch}`
  const surplus = sql`
    select id from offer_history where id <= (select coalesce(max(id), 0) - ${maxHistory} from offer_history)
    order by id limit ${pruneBatch}`
  for (const ids of [old, surplus])
    for (let round = 0; round < maxBatches; round++) {
      const { numAffectedRows = 0n } = await sql`delete from offer_history where id in (${ids})`.execute(db)
      if (numAffectedRows < pruneBatch) break
    }
  const since = new Date(now.getTime() - gone_ms)
  await sql`
    with gone as (delete from offer_sources where tried_at < ${since} returning provider, account)
    delete from offers using gone where offers.provider = gone.provider and offers.account = gone.account`.execute(
    db,
  )
}
