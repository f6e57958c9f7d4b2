// Counts of attempts that hold a place, and what offers were refused for: the state of the market.
import { type RawBuilder, sql } from 'kysely'
import type { Offer } from '../../providers/provider.ts'
import { gpuKey, historyKey } from '../history.ts'
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
    .where('ended_at', 'is', null)
    .groupBy(['provider', 'account', 'offer_id', 'kind', 'project_id', 'state'])
    .execute()
  const counts: OpenCounts = new Map()
  for (const row of rows) add(counts, row, row.state === 'launching', Number(row.count))
  return counts
}

/** Counts one more that is about to be launched, or (-1) one less. */
export const countLaunch = (counts: OpenCounts, placed: Placed, by: 1 | -1 = 1) =>
  add(counts, placed, true, by)

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

function keyOf(row: MemoryKey) {
  return row.offer_id === everyOffer ? accountKey(row) : offerKey({ ...row, id: row.offer_id })
}

/** What a batch says of an offer: a refusal, or (null) that it took a launch. */
export interface Told {
  offer: Place
  code: RememberedCode | null
  /** What its provider said. */
  detail?: string | null
}

/**
 * Notes refusals, and forgets those of offers that took a launch, in the order in which they were told. The rows are
 * locked and written in the order of their keys.
 */
export async function writeMemory(tx: Tx, told: readonly Told[], now: Date): Promise<void> {
  const heard = new Map<string, { key: MemoryKey; codes: (RememberedCode | null)[] }>()
  const hear = (key: MemoryKey, code: RememberedCode | null) => {
    const name = keyOf(key)
    const known = heard.get(name) ?? { key, codes: [] }
    known.codes.push(code)
    heard.set(name, known)
  }
  for (const { offer, code } of told) {
    if (code === null || !blocksAccount(code)) hear(ofOffer(offer), code)
    // An offer that took a launch shows that its account is in order, too.
    if (code === null || blocksAccount(code)) hear(ofAccount(offer), code)
  }
  for (const [, { key, codes }] of [...heard].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    await remembering(tx, key, codes, now)
}

async function remembering(
  tx: Tx,
  key: MemoryKey,
  codes: readonly (RememberedCode | null)[],
  now: Date,
): Promise<void> {
  let stored = tx.selectFrom('capacity_memory').selectAll()
  let old = tx.deleteFrom('capacity_memory')
  for (const [column, value] of Object.entries(key) as [keyof MemoryKey, string | boolean][]) {
    stored = stored.where(column, '=', value)
    old = old.where(column, '=', value)
  }
  let memory: Remembered | null = (await stored.forUpdate().executeTakeFirst()) ?? null
  for (const code of codes) memory = code === null ? null : remember(memory, code, now)
  if (memory === null) return void (await old.execute())
  const { code, failures, blocked_until, updated_at } = memory
  const values = { code, failures, blocked_until, updated_at }
  await tx
    .insertInto('capacity_memory')
    .values({ ...key, ...values })
    .onConflict((conflict) =>
      conflict.columns(['provider', 'account', 'region', 'offer_id', 'spot']).doUpdateSet(values),
    )
    .execute()
}

/** Nothing is launched at an account until then, unless it is known already why not. */
export async function holdAccount(
  tx: Tx,
  of: Pick<Place, 'provider' | 'account'>,
  blocked_until: Date,
  now: Date,
): Promise<void> {
  const { provider, account } = of
  const values = { code: 'unavailable' as const, failures: 1, blocked_until, updated_at: now }
  await tx
    .insertInto('capacity_memory')
    .values({ ...ofAccount({ provider, account }), ...values })
    .onConflict((conflict) =>
      conflict
        .columns(['provider', 'account', 'region', 'offer_id', 'spot'])
        .doUpdateSet(values)
        .where((where) =>
          where.or([
            where('capacity_memory.code', '=', 'unavailable'),
            where('capacity_memory.blocked_until', '<', now),
          ]),
        ),
    )
    .execute()
}

/** An account is asked again, where one of these was what kept it from being asked. */
export async function liftAccount(
  tx: Tx,
  { provider, account }: Pick<Place, 'provider' | 'account'>,
  codes: readonly RememberedCode[],
  now: Date,
  how: 'remember' | 'forget',
): Promise<void> {
  const old = sql<boolean>`provider = ${provider} and account = ${account} and offer_id = ${everyOffer}
    and code = any(${[...codes]}::text[])`
  if (how === 'forget') await tx.deleteFrom('capacity_memory').where(old).execute()
  else await tx.updateTable('capacity_memory').set({ blocked_until: now }).where(old).execute()
}

type MemoryKey = { provider: string; account: string; region: string; offer_id: string; spot: boolean }

const ofOffer = ({ provider, account, region, id, spot }: Place): MemoryKey => ({
  provider,
  account,
  region,
  offer_id: id,
  spot,
})
const ofAccount = ({ provider, account }: Pick<Place, 'provider' | 'account'>): MemoryKey => ({
  provider,
  account,
  region: everyOffer,
  offer_id: everyOffer,
  spot: false,
})

// ---- how much work there is

/** Rows of datasets, by id; null: the file does not tell. */
export async function readRows(db: Database, ids: readonly string[]): Promise<Map<string, number | null>> {
  if (ids.length === 0) return new Map()
  const found = await db
    .selectFrom('datasets')
    .select(['id', 'rows'])
    .where('id', 'in', [...ids])
    .execute()
  return new Map(found.map(({ id, rows }) => [id, rows]))
}

// ---- how long work took

/** Attempts that a mean is taken over: enough to be steady, few enough to follow a change. */
const remembered = 20
/** After every id: what follows the type begins with 0 to 7 (typeid). */
const lastId = 'att_8'

/** Mean seconds from launch to end of the newest successes, by `project/signature` and offer. */
export async function readHistories(
  db: Database,
  asked: readonly Signed[],
): Promise<Map<string, Map<string, number>>> {
  if (asked.length === 0) return new Map()
  const { rows } = await historiesQuery(asked).execute(db)
  const groups = Map.groupBy(rows, ({ project_id, signature }) => `${project_id}/${signature}`)
  return new Map([...groups].map(([key, group]) => [key, meansOf(group)]))
}

/**
 * The statement itself, for who wants to see its plan. The key is compared and ordered as a whole (store/find.ts): of a signature that is
 * rare the planner would else look for the newest among all attempts.
 */
export function historiesQuery(asked: readonly Signed[]): RawBuilder<Success> {
  const projects = asked.map(({ project_id }) => project_id)
  const signatures = asked.map(({ signature }) => signature)
  return sql<Success>`
    select asked.project_id, asked.signature, newest.*
    from unnest(${projects}::text[], ${signatures}::text[]) as asked(project_id, signature), lateral (
      select provider, account, offer_id, launched_at, bound_at, finished_at,
        case when device like 'cuda%' then request->'offer'->'gpu' end as gpu from attempts a
      where (a.project_id, a.signature, a.id) < (asked.project_id, asked.signature, ${lastId})
        and (a.project_id, a.signature, a.id) >= (asked.project_id, asked.signature, '') and a.outcome = 'succeeded'
      order by a.project_id desc, a.signature desc, a.id desc limit ${remembered}) as newest`
}

interface Signed {
  project_id: string
  signature: string
}

interface Success {
  project_id: string
  signature: string
  provider: string
  account: string
  offer_id: string
  launched_at: Date | null
  /** The runner's first word. */
  bound_at: Date | null
  finished_at: Date | null
  /** null: it used none. */
  gpu: Offer['gpu']
}

function meansOf(rows: readonly Success[]): Map<string, number> {
  const sums = new Map<string, { seconds: number; count: number }>()
  const add = (key: string, from: Date, to: Date) => {
    const sum = sums.get(key) ?? { seconds: 0, count: 0 }
    sum.seconds += Math.max(0, to.getTime() - from.getTime()) / 1_000
    sum.count++
    sums.set(key, sum)
  }
  for (const { provider, account, offer_id, launched_at, bound_at, finished_at, gpu } of rows) {
    if (!launched_at || !finished_at) continue
    add(historyKey(provider, account, offer_id), launched_at, finished_at)
    const on_gpu = gpuKey(gpu)
    if (on_gpu && bound_at) add(on_gpu, bound_at, finished_at)
  }
  return new Map([...sums].map(([key, { seconds, count }]) => [key, seconds / count]))
}
