// How prices and stock have changed, for charts: each row holds until the next one of its offer.
import { type Selectable, sql } from 'kysely'
import { microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Tables } from './store/schema.ts'

export interface OfferHistoryQuery {
  provider?: string | undefined
  account?: string | undefined
  offer?: string | undefined
  region?: string | undefined
  spot?: boolean | undefined
  from?: string | undefined
  to?: string | undefined
  limit: number
  cursor?: string | undefined
}

type Row = Selectable<Tables['offer_history']>

/**
 * Oldest first. Of a named offer it begins with the last change before `from`, which says what held then. Throws AppError
 * invalid_cursor.
 */
export async function readOfferHistory({ db }: Pick<Deps, 'db'>, query: OfferHistoryQuery) {
  const { limit, cursor, from, to } = query
  const after = cursor === undefined ? null : placeOf(cursor)
  const filters = filtersOf(query)
  const until = to === undefined ? sql`true` : sql`h.at < ${new Date(to)}`
  const since =
    from === undefined
      ? sql`true`
      : query.offer === undefined
        ? sql`h.at >= ${new Date(from)}`
        : // No later change of the same offer came before that time.
          sql`(h.at >= ${new Date(from)} or not exists (
            select from offer_history n where n.offer_id = h.offer_id and n.provider = h.provider
              and n.account = h.account and n.region = h.region and n.spot = h.spot
              and (n.at, n.id) > (h.at, h.id) and n.at <= ${new Date(from)}))`
  const { rows } = await sql<Row>`
    select h.* from offer_history h where ${filters} and ${since} and ${until}
      and ${after === null ? sql`true` : sql`(h.at, h.id) > (${after.at}, ${after.id})`}
    order by h.at, h.id limit ${limit + 1}`.execute(db)
  const last = rows.length > limit ? rows[limit - 1] : undefined
  return { items: rows.slice(0, limit).map(viewOf), next_cursor: last ? cursorOf(last) : null }
}

function filtersOf({ provider, account, offer, region, spot }: OfferHistoryQuery) {
  const wanted = { provider, account, offer_id: offer, region, spot }
  const filters = Object.entries(wanted).flatMap(([column, value]) =>
    value === undefined ? [] : [sql`${sql.ref(`h.${column}`)} = ${value}`],
  )
  return filters.length > 0 ? sql.join(filters, sql` and `) : sql`true`
}

const viewOf = (row: Row) => ({
  provider: row.provider,
  account: row.account,
  region: row.region,
  offer: row.offer_id,
  spot: row.spot,
  at: row.at.toISOString(),
  usd_per_hour: microsToUsd(row.usd_micros_per_hour),
  currency: row.currency,
  per_hour: row.per_hour,
  available: row.available,
  listed: row.listed,
})

const cursorOf = ({ at, id }: Row) => Buffer.from(`${at.getTime()}.${id}`).toString('base64url')

function placeOf(cursor: string): { at: Date; id: number } {
  const [, at_ms, id] = /^(\d{1,15})\.(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (at_ms === undefined || id === undefined)
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
  return { at: new Date(Number(at_ms)), id: Number(id) }
}
