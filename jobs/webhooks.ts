// Delivers the outbox: at least once, signed by the Standard Webhooks specification, every attempt stored.
import { Webhook } from 'standardwebhooks'
import { type Answer, delivery_ms, retryAfter_s } from './delivery.ts'
import { type Deps, topics } from './deps.ts'
import { type Claimed, claimMessages, lookForWork, maxRouted, routeMessages } from './store/outbox.ts'
import { recordResults, type Result } from './store/results.ts'

/** After this a message is another sender's: the first is dead, or has come to nothing. */
export const lease_ms = 2 * delivery_ms
/**
 * Messages in flight of one process: each is a connection and up to 20 kB. Receivers that hang hold few each, and so
 * many that hang at once leave room.
 */
const maxInFlight = 512
/** Results of one transaction. */
const maxRecorded = 200
/** Characters that are kept of an error, and of what a receiver answered: enough for people to see what is wrong. */
const storedError = 500
const storedResponse = 1_000

/** What one sender is about. */
export interface Flight {
  sending: number
  /** Whether something due was left for want of room. */
  full: boolean
  results: Result[]
  recording: Promise<void> | null
}
export const newFlight = (): Flight => ({ sending: 0, full: false, results: [], recording: null })

export interface Round {
  tried: number
  /** Whether the next round is to come at once. */
  again: boolean
  /** When all that was tried is recorded. */
  done: Promise<void>
}

/** Begins to send what is due, as much as there is room for. */
export async function deliverDue(deps: Deps, flight: Flight = newFlight()): Promise<Round> {
  const { fresh, due } = await lookForWork(deps.db, deps.clock.now())
  const routed = fresh ? await routeMessages(deps.db, deps.clock.now()) : 0
  const now = deps.clock.now()
  const free = maxInFlight - flight.sending
  const claim = { now, until: new Date(now.getTime() + lease_ms), free }
  const claimed = due || routed > 0 ? await claimMessages(deps.db, claim) : []
  flight.full = claimed.length >= free
  return {
    tried: claimed.length,
    again: !flight.full && (claimed.length > 0 || routed === maxRouted),
    done: Promise.all(claimed.map((message) => deliver(deps, flight, message))).then(() => undefined),
  }
}

/** Sends a message that the caller has claimed, and records what came of it. */
export async function deliver(deps: Deps, flight: Flight, message: Claimed): Promise<void> {
  flight.sending++
  const began = deps.clock.now()
  const answer = await send(deps, message, began)
  flight.sending--
  const result = { message, began, ended: deps.clock.now(), answer }
  flight.results.push(result)
  // What comes while a transaction is under way goes together in the next.
  while (flight.results.includes(result))
    await (flight.recording ??= record(deps, flight).finally(() => (flight.recording = null)))
  await flight.recording
}

async function record(deps: Deps, flight: Flight): Promise<void> {
  const results = flight.results.splice(0, maxRecorded)
  const now = deps.clock.now()
  try {
    const told = { ...deps, public_url: deps.settings.public_url, now }
    const { more, told: tells } = await recordResults(deps.db, told, results)
    if (more || flight.full) deps.waker.wake(topics.webhooks)
    if (tells) deps.waker.wake(topics.events)
  } catch (error) {
    // Their leases end, and they are sent again.
    deps.log('error', 'what came of messages was not recorded', {
      messages: results.length,
      error: error instanceof Error ? error.message : String(error),
    })
  }
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
/** The same of an endpoint's. */
export const endpointContext = (webhook_id: string) => `webhooks/${webhook_id}/secret`

/** One signature for each secret that signs now: a receiver accepts a message that any of them has signed. */
function signatures({ sealer }: Deps, message: Claimed, at: Date): string {
  const { id, project_id, webhook_id, secret_sealed, old_secrets, body } = message
  const context = webhook_id === null ? secretContext(project_id) : endpointContext(webhook_id)
  const old = old_secrets.filter(({ until }) => new Date(until) > at).map(({ sealed }) => sealed)
  return [secret_sealed, ...old]
    .map((sealed) => new Webhook(sealer.open(sealed, context)).sign(id, at, body))
    .join(' ')
}

async function send(deps: Deps, message: Claimed, at: Date): Promise<Answer> {
  try {
    const response = await deps.outbound_fetch(message.url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Berth-Webhooks',
        'webhook-id': message.id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': signatures(deps, message, at),
      },
      body: message.body,
    })
    return {
      status: response.status,
      error: response.ok ? null : `answered ${response.status}`,
      response: storable(await response.text()),
      retry_after_s: retryAfter_s(response.headers.get('retry-after'), at),
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : 'failed'
    return { status: null, error: why.slice(0, storedError), response: null, retry_after_s: null }
  }
}

/** The beginning, without what PostgreSQL has no text for. */
function storable(text: string): string | null {
  return text === '' ? null : text.slice(0, storedResponse).replaceAll('\0', '\uFFFD').toWellFormed()
}
