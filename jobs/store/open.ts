// Counts of attempts that hold a place, and what offers were refused for: the state of the market.
import { sql } from 'kysely'
import type { Offer } from '../../providers/provider.ts'
import { historyKey } from '../expect.ts'
import type { LimitScope } from '../limits.ts'
import { blocksAccount, remember, type Remembered, type RememberedCode } from '../memory.ts'
import type { Database, Tx } from './schema.ts'

/**
 * Attempts that have not ended, by `offer:`, `launching:`, `offer-kind:`, `account:`, `kind:` and `project:` keys.
 * A launching one has not been seen to start.
 */
export type OpenCounts = Map<string, number>

/** The key of all of them. */
export const everything = 'all'

export interface Placed {
  provider: string
  account: string
  offer_id: string
  kind: string
  project_id: string
}

export async function countPlaced(db: Database): Promise<OpenCounts> {
  const rows = await db
    .selectFrom('attempts')
    .select(['provider', 'account', 'offer_id', 'kind', 'project_id', 'state'])
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '<>', 'ended')
    .groupBy(['provider', 'account', 'offer_id', 'kind', 'project_id', 'state'])
    .execute()
  const counts: OpenCounts = new Map()
  for (const row of rows) add(counts, row, row.state === 'launching', Number(row.count))
  return counts
}

/** Counts one more that is about to be launched. */
export const countLaunch = (counts: OpenCounts, placed: Placed) => add(counts, placed, true, 1)

function add(counts: OpenCounts, placed: Placed, launching: boolean, by: number) {
  const { provider, account, offer_id, kind, project_id } = placed
  const offer = `${provider}/${account}/${offer_id}`
  const keys = [
    `offer:${offer}`,
    `offer-kind:${offer}/${kind}`,
    `account:${provider}/${account}`,
    `kind:${kind}`,
    `project:${project_id}`,
    everything,
    ...(launching ? [`launching:${offer}`] : []),
  ]
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + by)
}

/** Counts again, inside a transaction, what a launch there is counted with. */
export async function countOpenOf(tx: Tx, scope: LimitScope | 'offer', placed: Placed): Promise<number> {
  let open = tx
    .selectFrom('attempts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '<>', 'ended')
  for (const column of counted[scope]) open = open.where(column, '=', placed[column])
  return Number((await open.executeTakeFirstOrThrow()).count)
}

const counted: Record<LimitScope | 'offer', readonly (keyof Placed)[]> = {
  project: ['project_id'],
  kind: ['kind'],
  account: ['provider', 'account'],
  offer: ['provider', 'account', 'offer_id'],
  device: ['provider', 'account', 'offer_id', 'kind'],
}

// ---- what offers were refused for

/** By `provider/account/region/offer/spot`, or `provider/account` where it holds for all of them. */
export type Memory = ReadonlyMap<string, Remembered>

const everyOffer = '*'

export async function readMemory(db: Database): Promise<Memory> {
  const rows = await db.selectFrom('capacity_memory').selectAll().execute()
  return new Map(rows.map((row) => [keyOf(row), row]))
}

type Place = Pick<Offer, 'provider' | 'account' | 'region' | 'id' | 'spot'>

export const offerKey = ({ provider, account, region, id, spot }: Place) =>
  `${provider}/${account}/${region}/${id}/${spot}`
export const accountKey = ({ provider, account }: Pick<Offer, 'provider' | 'account'>) =>
  `${provider}/${account}`

function keyOf(row: { provider: string; account: string; region: string; offer_id: string; spot: boolean }) {
  return row.offer_id === everyOffer ? accountKey(row) : offerKey({ ...row, id: row.offer_id })
}

/** Notes one more refusal. */
export async function noteRefusal(tx: Tx, place: Place, code: RememberedCode, now: Date): Promise<void> {
  const key = blocksAccount(code)
    ? {
        provider: place.provider,
        account: place.account,
        region: everyOffer,
        offer_id: everyOffer,
        spot: false,
      }
    : {
        provider: place.provider,
        account: place.account,
        region: place.region,
        offer_id: place.id,
        spot: place.spot,
      }
  let row = tx.selectFrom('capacity_memory').selectAll()
  for (const [column, value] of Object.entries(key)) row = row.where(column as keyof typeof key, '=', value)
  const values = remember((await row.forUpdate().executeTakeFirst()) ?? null, code, now)
  await tx
    .insertInto('capacity_memory')
    .values({ ...key, ...values })
    .onConflict((conflict) =>
      conflict.columns(['provider', 'account', 'region', 'offer_id', 'spot']).doUpdateSet(values),
    )
    .execute()
}

/** A launch that succeeded: the offer is in stock, and its account is in order. */
export async function forgetRefusals(tx: Tx, { provider, account, region, id, spot }: Place): Promise<void> {
  await tx
    .deleteFrom('capacity_memory')
    .where('provider', '=', provider)
    .where('account', '=', account)
    .where((where) =>
      where.or([
        where.and([where('region', '=', region), where('offer_id', '=', id), where('spot', '=', spot)]),
        where('offer_id', '=', everyOffer),
      ]),
    )
    .execute()
}

// ---- how long work took

/** Attempts that a mean is taken over: enough to be steady, few enough to follow a change. */
const remembered = 20

/** Mean seconds from launch to end of the newest successes, by `project/signature` and offer. */
export async function readHistories(
  db: Database,
  asked: readonly { project_id: string; signature: string }[],
): Promise<Map<string, Map<string, number>>> {
  if (asked.length === 0) return new Map()
  const projects = asked.map(({ project_id }) => project_id)
  const signatures = asked.map(({ signature }) => signature)
  const { rows } = await sql<Success>`
    select asked.project_id, asked.signature, newest.*
    from unnest(${projects}::text[], ${signatures}::text[]) as asked(project_id, signature), lateral (
      select provider, account, offer_id, launched_at, finished_at from attempts a
      where a.project_id = asked.project_id and a.signature = asked.signature and a.outcome = 'succeeded'
      order by a.id desc limit ${remembered}) as newest`.execute(db)
  const groups = Map.groupBy(rows, ({ project_id, signature }) => `${project_id}/${signature}`)
  return new Map([...groups].map(([key, group]) => [key, meansOf(group)]))
}

interface Success {
  project_id: string
  signature: string
  provider: string
  account: string
  offer_id: string
  launched_at: Date | null
  finished_at: Date | null
}

function meansOf(rows: readonly Success[]): Map<string, number> {
  const sums = new Map<string, { seconds: number; count: number }>()
  for (const { provider, account, offer_id, launched_at, finished_at } of rows) {
    if (!launched_at || !finished_at) continue
    const key = historyKey(provider, account, offer_id)
    const sum = sums.get(key) ?? { seconds: 0, count: 0 }
    sum.seconds += Math.max(0, finished_at.getTime() - launched_at.getTime()) / 1_000
    sum.count++
    sums.set(key, sum)
  }
  return new Map([...sums].map(([key, { seconds, count }]) => [key, seconds / count]))
}
