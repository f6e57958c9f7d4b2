// Deliveries as their owner sees them: what was sent and answered, a test, and the same message again.
import { sql } from 'kysely'
import { type Deps, topics } from './deps.ts'
import { lockEndpoint, unknown } from './endpoints.ts'
import { AppError } from './errors.ts'
import { isId, newId } from './ids.ts'
import { testType } from './store/results.ts'
import { deliver, lease_ms, newFlight } from './webhooks.ts'
import type { Json } from './view.ts'

/** Attempts that are shown of one delivery, the newest: one round of tries has eleven. */
const shownAttempts = 50

interface Row {
  id: string
  webhook_id: string | null
  job_id: string | null
  sequence: number
  type: string
  url: string
  state: 'pending' | 'delivered' | 'exhausted'
  attempts: number
  next_attempt_at: Date | null
  created_at: Date
  ended_at: Date | null
}
interface AttemptRow {
  delivery_id: string
  number: number
  at: Date
  duration_ms: number
  status: number | null
  error: string | null
  response: string | null
}

export type DeliveryView = ReturnType<typeof viewDelivery>
export type DeliveryAttemptView = ReturnType<typeof viewAttempt>

/** Whose deliveries. */
export type Of = { webhook_id: string } | { job_id: string }

const columns = sql.raw(
  'id, webhook_id, job_id, sequence, type, url, state, attempts, next_attempt_at, created_at, ended_at',
)

/** Newest first, by keyset: a cursor is the id of the last one seen. */
export async function listDeliveries(
  { db }: Pick<Deps, 'db'>,
  project_id: string,
  of: Of,
  { limit, cursor, state }: { limit: number; cursor?: string | undefined; state?: string | undefined },
): Promise<{ items: DeliveryView[]; next_cursor: string | null }> {
  if (cursor !== undefined && !isId('dlv', cursor))
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
  const whose = 'job_id' in of ? sql`job_id = ${of.job_id}` : sql`webhook_id = ${of.webhook_id}`
  const before = cursor === undefined ? sql`` : sql`and id < ${cursor}`
  const wanted = state === undefined ? sql`` : sql`and state = ${state}`
  const { rows } = await sql<Row>`
    select ${columns} from deliveries where ${whose} and project_id = ${project_id} ${before} ${wanted}
    order by id desc limit ${limit + 1}`.execute(db)
  const page = rows.slice(0, limit)
  const attempts = await lastAttempts({ db }, page)
  return {
    items: page.map((row) => viewDelivery(row, attempts.get(row.id) ?? null)),
    next_cursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
  }
}

/** One with its message and all its attempts; throws AppError not_found, also for another project's. */
export async function readDelivery(
  { db }: Pick<Deps, 'db'>,
  project_id: string,
  id: string,
): Promise<DeliveryView & { body: Json; history: DeliveryAttemptView[] }> {
  const { rows } = await sql<Row & { body: string }>`
    select ${columns}, body from deliveries where id = ${id} and project_id = ${project_id}`.execute(db)
  const [row] = rows
  if (!row) throw new AppError('not_found', `There is no delivery ${id.slice(0, 100)}.`)
  const attempts: AttemptRow[] = await db
    .selectFrom('delivery_attempts')
    .selectAll()
    .where('delivery_id', '=', id)
    .orderBy('number', 'desc')
    .limit(shownAttempts)
    .execute()
  return {
    ...viewDelivery(row, attempts[0] ?? null),
    body: JSON.parse(row.body) as Json,
    history: attempts.map(viewAttempt),
  }
}

/** Sends the same message again, under the same id, as if it were new. Throws AppError not_found, webhook_disabled. */
export async function redeliver(deps: Deps, project_id: string, id: string): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const found = await tx
      .selectFrom('deliveries')
      .select(['webhook_id', 'receiver_id', 'type'])
      .where('id', '=', id)
      .where('project_id', '=', project_id)
      .executeTakeFirst()
    if (!found) throw new AppError('not_found', `There is no delivery ${id.slice(0, 100)}.`)
    if (found.type === testType)
      throw new AppError('invalid_request', 'A test is not sent again: send another one.')
    if (found.webhook_id !== null) {
      const { disabled_at } = await lockEndpoint(tx, project_id, found.webhook_id)
      if (disabled_at !== null)
        throw new AppError('webhook_disabled', `${found.webhook_id} is disabled: enable it first.`)
    }
    // Before the message, in the order of those who send. One without a receiver is given to its own as a new one is.
    if (found.receiver_id !== null)
      await tx
        .updateTable('receivers')
        .set({ closed_until: null, due_at: now, updated_at: now })
        .where('id', '=', found.receiver_id)
        .execute()
    await sql`
      update deliveries set state = 'pending', next_attempt_at = ${now}, ended_at = null,
        round = case when state = 'pending' then round else attempts end
      where id = ${id} and (claimed_until is null or claimed_until <= ${now})`.execute(tx)
  })
  deps.waker.wake(topics.webhooks)
}

/** Sends one message at once, also to an endpoint that is disabled, and answers what came of it. Throws AppError. */
export async function testEndpoint(
  deps: Deps,
  project_id: string,
  id: string,
): Promise<DeliveryView & { body: Json; history: DeliveryAttemptView[] }> {
  const now = deps.clock.now()
  const row = await deps.db
    .selectFrom('webhooks')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', project_id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!row) throw unknown(id)
  const data = { webhook: { id }, message: 'This is a test.', sequence: 0 }
  const message = {
    id: newId('dlv', now, deps.random),
    project_id,
    webhook_id: id,
    receiver_id: id,
    type: testType,
    url: row.url,
    body: JSON.stringify({ type: testType, timestamp: now.toISOString(), data }),
  }
  // Claimed from the start: another sender takes it only if this process dies.
  const claimed_until = new Date(now.getTime() + lease_ms)
  await deps.db
    .insertInto('deliveries')
    .values({
      ...message,
      job_id: null,
      sequence: 0,
      state: 'pending',
      next_attempt_at: now,
      claimed_until,
      created_at: now,
    })
    .execute()
  const { secret_sealed, old_secrets } = row
  await deliver(deps, newFlight(), { ...message, attempts: 0, secret_sealed, old_secrets })
  return readDelivery(deps, project_id, message.id)
}

async function lastAttempts(
  { db }: Pick<Deps, 'db'>,
  page: readonly Row[],
): Promise<ReadonlyMap<string, AttemptRow>> {
  if (page.length === 0) return new Map()
  const { rows } = await sql<AttemptRow>`
    select last.* from unnest(${page.map(({ id }) => id)}::text[]) as shown(id), lateral (
      select * from delivery_attempts where delivery_id = shown.id order by number desc limit 1) as last`.execute(
    db,
  )
  return new Map(rows.map((row) => [row.delivery_id, row]))
}

const viewDelivery = (row: Row, last: AttemptRow | null) => ({
  id: row.id,
  webhook_id: row.webhook_id,
  job_id: row.job_id,
  sequence: row.sequence,
  type: row.type,
  url: row.url,
  state: row.state,
  attempts: row.attempts,
  created_at: row.created_at.toISOString(),
  next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
  ended_at: row.ended_at?.toISOString() ?? null,
  last_attempt: last && viewAttempt(last),
})

const viewAttempt = ({ number, at, duration_ms, status, error, response }: AttemptRow) => ({
  number,
  at: at.toISOString(),
  duration_ms,
  status,
  error,
  response,
})
