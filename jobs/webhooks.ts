// Delivers the outbox: at least once, signed by the Standard Webhooks specification, every attempt stored.
import { Webhook } from 'standardwebhooks'
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { Deps } from './deps.ts'
import type { Tables } from './store/schema.ts'

type Delivery = Selectable<Tables['deliveries']>

/** Waits after each failed attempt, in seconds, with jitter: three days in all. */
const schedule_s = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000]
const jitter = 0.2
/** A receiver must answer within this; the specification names 15 to 30 s. */
export const delivery_ms = 15_000
/** Deliveries in flight at once: a slow receiver must not hold all of them for long. */
const inFlight = 16
const maxRetryAfter_s = 86_400
const storedError = 500

/** Sends what is due once; answers how many were tried. */
export async function deliverDue(deps: Deps): Promise<number> {
  const due = await claimDeliveries(deps)
  await Promise.all(due.map((delivery) => deliver(deps, delivery)))
  return due.length
}

/** The project's signing secret, `whsec_...`. */
export async function webhookSecret(deps: Pick<Deps, 'db' | 'sealer'>, project_id: string): Promise<string> {
  const project = await deps.db
    .selectFrom('projects')
    .select('webhook_secret_sealed')
    .where('id', '=', project_id)
    .executeTakeFirstOrThrow()
  return deps.sealer.open(project.webhook_secret_sealed, secretContext(project_id))
}

/** Binds a sealed secret to its row, so that it cannot be moved to another project. */
export const secretContext = (project_id: string) => `projects/${project_id}/webhook_secret`

async function claimDeliveries(deps: Deps): Promise<Delivery[]> {
  const now = deps.clock.now()
  const until = new Date(now.getTime() + delivery_ms * 2)
  const { rows } = await sql<Delivery>`
    update deliveries set claimed_until = ${until} where id in (
      select id from deliveries
      where state = 'pending' and next_attempt_at <= ${now} and (claimed_until is null or claimed_until < ${now})
      order by next_attempt_at limit ${inFlight} for update skip locked)
    returning *`.execute(deps.db)
  return rows
}

interface Answer {
  status: number | null
  error: string | null
  retry_after_s: number | null
}

async function deliver(deps: Deps, delivery: Delivery): Promise<void> {
  const at = deps.clock.now()
  const answer = await send(deps, delivery, at)
  const now = deps.clock.now()
  const number = delivery.attempts + 1
  const delivered = answer.status !== null && answer.status >= 200 && answer.status < 300
  const wait_s = answer.retry_after_s ?? schedule_s[number - 1]
  const exhausted = !delivered && (answer.status === 410 || schedule_s[number - 1] === undefined)
  await deps.db.transaction().execute(async (tx) => {
    const moved = await tx
      .updateTable('deliveries')
      .set({
        attempts: number,
        claimed_until: null,
        state: delivered ? 'delivered' : exhausted ? 'exhausted' : 'pending',
        next_attempt_at: delivered || exhausted ? null : later(deps, now, wait_s ?? 0),
        ended_at: delivered || exhausted ? now : null,
      })
      .where('id', '=', delivery.id)
      .where('attempts', '=', delivery.attempts)
      .where('state', '=', 'pending')
      .executeTakeFirst()
    if (moved.numUpdatedRows === 0n) return
    await tx
      .insertInto('delivery_attempts')
      .values({
        delivery_id: delivery.id,
        project_id: delivery.project_id,
        number,
        at,
        duration_ms: now.getTime() - at.getTime(),
        status: answer.status,
        error: answer.error,
      })
      .execute()
  })
}

async function send(deps: Deps, delivery: Delivery, at: Date): Promise<Answer> {
  try {
    const secret = await webhookSecret(deps, delivery.project_id)
    const response = await deps.outbound_fetch(delivery.url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Berth-Webhooks',
        'webhook-id': delivery.id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(secret).sign(delivery.id, at, delivery.body),
      },
      body: delivery.body,
    })
    await response.body?.cancel()
    const error = response.ok ? null : `answered ${response.status}`
    return { status: response.status, error, retry_after_s: retryAfter(response.headers.get('retry-after')) }
  } catch (error) {
    const message = error instanceof Error ? error.message : 'failed'
    return { status: null, error: message.slice(0, storedError), retry_after_s: null }
  }
}

function later(deps: Deps, now: Date, seconds: number): Date {
  const spread = 1 + jitter * ((deps.random(1)[0] ?? 0) / 255)
  return new Date(now.getTime() + seconds * 1_000 * spread)
}

function retryAfter(header: string | null): number | null {
  const seconds = header === null ? Number.NaN : Number(header)
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, maxRetryAfter_s) : null
}
