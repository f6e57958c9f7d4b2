// Registered endpoints: who is told of the events of a project, signed with a secret of their own.
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { z } from 'zod'
import { firstRoom } from './delivery.ts'
import { type Actor, audit } from './audit.ts'
import { type Deps, topics } from './deps.ts'
import { AppError } from './errors.ts'
import { claimResource, type IdempotencyKey } from './idempotency.ts'
import { isId, newId } from './ids.ts'
import { webhookUrl } from './spec.ts'
import { eventTypes } from './state.ts'
import type { Tables, Tx } from './store/schema.ts'
import { endpointContext } from './webhooks.ts'

/** Each event is written once for every endpoint that hears it. */
const maxEndpoints = 100
/** Secrets that sign beside the newest: more would be a header that receivers refuse. */
const maxOldSecrets = 3
const maxGrace_s = 7 * 86_400

const events = z
  .array(z.enum(eventTypes))
  .min(1)
  .max(eventTypes.length)
  .nullable()
  .meta({ description: 'The types that it is told of; null: all.' })
const description = z.string().max(500)

export const endpointRequest = z
  .strictObject({
    url: webhookUrl,
    events: events.default(null),
    description: description.default(''),
    enabled: z.boolean().default(true),
  })
  .meta({ id: 'WebhookRequest' })

export const endpointPatch = z
  .strictObject({
    url: webhookUrl.optional(),
    events: events.optional(),
    description: description.optional(),
    enabled: z.boolean().optional().meta({
      description: 'false: what waits is given up, and nothing new is written for it. true: it begins anew.',
    }),
  })
  .meta({ id: 'WebhookPatch' })

export const rotateRequest = z
  .strictObject({
    grace_s: z.int().min(0).max(maxGrace_s).default(86_400).meta({
      description: 'How long the old secret signs beside the new one; 0: none but the new one from now on.',
    }),
  })
  .meta({ id: 'RotateRequest' })

type EndpointRow = Selectable<Tables['webhooks']>
export type EndpointView = ReturnType<typeof viewEndpoint>

/** Answers the endpoint and its secret, the only time. Throws AppError. */
export async function createEndpoint(
  deps: Deps,
  actor: Actor,
  project_id: string,
  request: z.output<typeof endpointRequest>,
  idempotency: IdempotencyKey | null,
): Promise<EndpointView & { secret: string }> {
  await checkUrl(deps, request.url)
  const now = deps.clock.now()
  const id = newId('whk', now, deps.random)
  const { secret, sealed } = newSecret(deps, id)
  const row = await deps.db.transaction().execute(async (tx) => {
    const made = idempotency && (await claimResource(tx, { ...idempotency, project_id }, id, now))
    if (made)
      throw new AppError(
        'already_created',
        `${made} was made with this Idempotency-Key. Its secret is shown once: rotate it if it was not received.`,
      )
    await checkCount(tx, project_id)
    const inserted = await tx
      .insertInto('webhooks')
      .values({
        id,
        project_id,
        url: request.url,
        description: request.description,
        events: request.events && JSON.stringify(request.events),
        secret_sealed: sealed,
        disabled_reason: request.enabled ? null : 'user',
        disabled_at: request.enabled ? null : now,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    await tx
      .insertInto('receivers')
      .values({ id, project_id, webhook_id: id, room: firstRoom, updated_at: now })
      .execute()
    const change = { project_id, action: 'webhook.created', subject: id, after: told(inserted) }
    await audit({ ...deps, db: tx }, actor, change)
    return inserted
  })
  return { ...viewEndpoint({ ...row, ...well }, now), secret }
}

/** Newest first. */
export async function listEndpoints(
  deps: Pick<Deps, 'db' | 'clock'>,
  project_id: string,
): Promise<EndpointView[]> {
  const rows = await selectEndpoints(deps)
    .where('webhooks.project_id', '=', project_id)
    .limit(maxEndpoints)
    .execute()
  return rows.map((row) => viewEndpoint(row, deps.clock.now()))
}

/** Throws AppError not_found, also for another project's. */
export async function readEndpoint(
  deps: Pick<Deps, 'db' | 'clock'>,
  project_id: string,
  id: string,
): Promise<EndpointView> {
  const row = isId('whk', id)
    ? await selectEndpoints(deps)
        .where('webhooks.project_id', '=', project_id)
        .where('webhooks.id', '=', id)
        .executeTakeFirst()
    : undefined
  if (!row) throw unknown(id)
  return viewEndpoint(row, deps.clock.now())
}

/** Changes what is given. One that is enabled, or called elsewhere, begins anew. Throws AppError. */
export async function changeEndpoint(
  deps: Deps,
  actor: Actor,
  project_id: string,
  id: string,
  patch: z.output<typeof endpointPatch>,
): Promise<EndpointView> {
  if (patch.url !== undefined) await checkUrl(deps, patch.url)
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockEndpoint(tx, project_id, id)
    const isEnabled = patch.enabled ?? row.disabled_at === null
    const isMoved = patch.url !== undefined && patch.url !== row.url
    const turns = isEnabled !== (row.disabled_at === null)
    if (isMoved || turns)
      await tx
        .updateTable('receivers')
        .set({ ...well, room: firstRoom, due_at: now, updated_at: now })
        .where('id', '=', id)
        .execute()
    await tx
      .updateTable('webhooks')
      .set({
        url: patch.url ?? row.url,
        description: patch.description ?? row.description,
        ...(patch.events === undefined ? {} : { events: patch.events && JSON.stringify(patch.events) }),
        ...(turns ? { disabled_reason: isEnabled ? null : 'user', disabled_at: isEnabled ? null : now } : {}),
        updated_at: now,
      })
      .where('id', '=', id)
      .execute()
    const given = {
      url: patch.url ?? row.url,
      description: patch.description ?? row.description,
      events: patch.events === undefined ? row.events : patch.events,
    }
    const after = { ...told(given), enabled: isEnabled }
    const change = { project_id, action: 'webhook.changed', subject: id, before: told(row), after }
    await audit({ ...deps, db: tx }, actor, change)
  })
  deps.waker.wake(topics.webhooks)
  return readEndpoint(deps, project_id, id)
}

/** What waits for it is given up. Throws AppError not_found. */
export async function deleteEndpoint(
  deps: Deps,
  actor: Actor,
  project_id: string,
  id: string,
): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockEndpoint(tx, project_id, id)
    await tx.updateTable('receivers').set({ due_at: now, updated_at: now }).where('id', '=', id).execute()
    await tx.updateTable('webhooks').set({ deleted_at: now }).where('id', '=', id).execute()
    const change = { project_id, action: 'webhook.deleted', subject: id, before: told(row) }
    await audit({ ...deps, db: tx }, actor, change)
  })
  deps.waker.wake(topics.webhooks)
}

/** Makes a new secret and answers it, the only time; the old one signs beside it for a while. Throws AppError. */
export async function rotateSecret(
  deps: Deps,
  actor: Actor,
  project_id: string,
  id: string,
  { grace_s }: z.output<typeof rotateRequest>,
): Promise<EndpointView & { secret: string }> {
  const now = deps.clock.now()
  const until = new Date(now.getTime() + grace_s * 1_000).toISOString()
  const { secret, sealed } = newSecret(deps, id)
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockEndpoint(tx, project_id, id)
    const old = [
      { sealed: row.secret_sealed, until },
      ...row.old_secrets.filter((each) => isValid(each, now)),
    ]
    // Without grace the old ones may be in wrong hands.
    const kept = grace_s === 0 ? [] : old.slice(0, maxOldSecrets)
    await tx
      .updateTable('webhooks')
      .set({ secret_sealed: sealed, old_secrets: JSON.stringify(kept), updated_at: now })
      .where('id', '=', id)
      .execute()
    const change = { project_id, action: 'webhook.rotated', subject: id, after: { grace_s } }
    await audit({ ...deps, db: tx }, actor, change)
  })
  return { ...(await readEndpoint(deps, project_id, id)), secret }
}

/** Of its url the origin alone: the rest may be a secret of the receiver's. */
const told = ({ url, description, events }: Pick<EndpointRow, 'url' | 'description' | 'events'>) => ({
  origin: new URL(url).origin,
  description,
  events,
})

const well = { failures: 0, failing_since: null, closed_until: null }

const isValid = ({ until }: { until: string }, now: Date) => new Date(until) > now

export const unknown = (id: string) => new AppError('not_found', `There is no webhook ${id.slice(0, 100)}.`)

/** Locks an endpoint and before it its receiver, in the order of those who send. Throws AppError not_found. */
export async function lockEndpoint(tx: Tx, project_id: string, id: string): Promise<EndpointRow> {
  if (!isId('whk', id)) throw unknown(id)
  await sql`select from receivers where id = ${id} and project_id = ${project_id} for no key update`.execute(
    tx,
  )
  const row = await tx
    .selectFrom('webhooks')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', project_id)
    .where('deleted_at', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!row) throw unknown(id)
  return row
}

async function checkUrl(deps: Deps, url: string): Promise<void> {
  const reason = deps.check_target(url) ?? (await deps.resolve_target(url))
  if (reason)
    throw new AppError('invalid_request', `url ${reason}`, { errors: [{ path: 'url', message: reason }] })
}

/** One project's endpoints are made one after the other, so that they can be counted. */
async function checkCount(tx: Tx, project_id: string): Promise<void> {
  await sql`select from projects where id = ${project_id} for no key update`.execute(tx)
  const { count } = await tx
    .selectFrom('webhooks')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('project_id', '=', project_id)
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow()
  if (Number(count) >= maxEndpoints)
    throw new AppError(
      'too_many_webhooks',
      `A project has at most ${maxEndpoints} webhooks: delete one first.`,
    )
}

function newSecret({ random, sealer }: Deps, id: string): { secret: string; sealed: string } {
  const secret = `whsec_${Buffer.from(random(32)).toString('base64')}`
  return { secret, sealed: sealer.seal(secret, endpointContext(id)) }
}

const selectEndpoints = ({ db }: Pick<Deps, 'db'>) =>
  db
    .selectFrom('webhooks')
    .innerJoin('receivers', 'receivers.id', 'webhooks.id')
    .selectAll('webhooks')
    .select(['failures', 'failing_since', 'closed_until'])
    .where('webhooks.deleted_at', 'is', null)
    .orderBy('webhooks.id', 'desc')

type Health = Pick<Selectable<Tables['receivers']>, 'failures' | 'failing_since' | 'closed_until'>

function viewEndpoint(row: EndpointRow & Health, now: Date) {
  const isClosed = row.closed_until !== null && row.closed_until > now
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    events: row.events,
    state: row.disabled_at === null ? ('enabled' as const) : ('disabled' as const),
    disabled_reason: row.disabled_reason,
    disabled_at: row.disabled_at?.toISOString() ?? null,
    failures: row.failures,
    failing_since: row.failing_since?.toISOString() ?? null,
    next_try_at: isClosed ? (row.closed_until?.toISOString() ?? null) : null,
    old_secrets_until: row.old_secrets.filter((each) => isValid(each, now)).map(({ until }) => until),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}
