// Messages: one for each event and each that is to be told of it, written in the event's transaction with the id and the
// body that all its deliveries will have.
import { sql } from 'kysely'
import { newId } from '../ids.ts'
import type { AttemptRow, JobRow } from '../plan.ts'
import type { EventType } from '../state.ts'
import { type JobView, jobView } from '../view.ts'
import type { NewEvent } from './events.ts'
import type { FoldDeps, JobEvent } from './fold.ts'
import { insertRows, type Values } from './rows.ts'
import { moneyOf } from './snapshot.ts'
import type { Database, Tx } from './schema.ts'
import { statement } from './statement.ts'

/** The Standard Webhooks specification asks for less than 20 kB. */
const maxBody_bytes = 19_500
/** Messages of one statement: their bodies are in memory twice while it is sent. */
const maxRows = 500

/** A registered endpoint that is told of events now. */
interface Endpoint {
  id: string
  project_id: string
  url: string
  events: EventType[] | null
}
type Message = Values<'deliveries'>
type JobOf<Event> = { job: Pick<JobRow, 'id' | 'spec' | 'project_id'>; events: readonly Event[] }

/** Writes the messages of many events, as the jobs and their attempts are stored now. Answers how many. */
export async function enqueueMessages(
  tx: Tx,
  deps: FoldDeps,
  told: readonly JobOf<JobEvent>[],
  project_events: readonly NewEvent[],
): Promise<number> {
  const happened = told.filter(({ events }) => events.length > 0)
  const project_ids = [
    ...happened.map(({ job }) => job.project_id),
    ...project_events.map((event) => event.project_id ?? ''),
  ]
  const endpoints = await endpointsOf(tx, project_ids)
  const wanted = happened
    .map(({ job, events }) => ({ job, events: events.filter((event) => isWanted(endpoints, job, event)) }))
    .filter(({ events }) => events.length > 0)
  const jobs = await readJobs(
    tx,
    wanted.map(({ job }) => job.id),
    deps.now,
  )
  const of_jobs = wanted.flatMap(({ job: { id }, events }) => {
    const about = jobs.get(id)
    return about ? events.flatMap((event) => messagesOf(deps, endpoints, about, event)) : []
  })
  const messages = [...of_jobs, ...project_events.flatMap((event) => projectMessages(deps, endpoints, event))]
  await insertMessages(tx, messages)
  return messages.length
}

/**
 * The messages of jobs that are as new as their events. `listening`: the projects that may have endpoints, as it was
 * when their requests came.
 */
export async function firstMessages(
  db: Database,
  deps: FoldDeps,
  jobs: readonly { job: JobRow; events: readonly Pick<JobEvent, 'type' | 'sequence'>[] }[],
  listening: readonly string[],
): Promise<Message[]> {
  const endpoints = await endpointsOf(db, listening)
  return jobs.flatMap(({ job, events }) =>
    events.flatMap((event) => messagesOf(deps, endpoints, { job, attempts: [], spent_micros: null }, event)),
  )
}

type Endpoints = ReadonlyMap<string, readonly Endpoint[]>

/** Whether a project has endpoints that are told of events now: a column of a statement that reads `projects`. */
export const hasEndpoints = sql<boolean>`exists (select from webhooks
  where webhooks.project_id = projects.id and webhooks.deleted_at is null and webhooks.disabled_at is null)`

const findEndpoints = statement<readonly string[], Endpoint>(
  (given) => sql`/* find endpoints */ select id, project_id, url, events from webhooks
    where project_id = any(${given((ids) => ids)}::text[]) and deleted_at is null and disabled_at is null
    order by id`,
)

async function endpointsOf(db: Database, project_ids: readonly string[]): Promise<Endpoints> {
  const ids = [...new Set(project_ids)]
  if (ids.length === 0) return new Map()
  return Map.groupBy(await findEndpoints(db, ids), ({ project_id }) => project_id)
}

/** As many as a job shows. */
const shownAttempts = 20

interface Told {
  job: JobRow
  /** The newest that are shown. */
  attempts: readonly AttemptRow[]
  /** null: what the attempts cost that are shown, which are all. */
  spent_micros: number | null
}

async function readJobs(tx: Tx, ids: readonly string[], now: Date): Promise<Map<string, Told>> {
  if (ids.length === 0) return new Map()
  const jobs = await tx.selectFrom('jobs').selectAll().where('id', 'in', ids).execute()
  const { rows } = await sql<AttemptRow>`
    select newest.* from unnest(${ids}::text[]) as of_job(id), lateral (
      select * from attempts where job_id = of_job.id order by id desc limit ${shownAttempts}) as newest`.execute(
    tx,
  )
  const attempts = Map.groupBy(rows, ({ job_id }) => job_id)
  const many = [...attempts].filter(([, shown]) => shown.length === shownAttempts).map(([id]) => id)
  const money = await moneyOf(tx, many, now)
  return new Map(
    jobs.map((job) => [
      job.id,
      {
        job,
        attempts: attempts.get(job.id) ?? [],
        spent_micros: money.get(job.id)?.spent_micros ?? null,
      },
    ]),
  )
}

const hears = ({ events }: Endpoint, type: EventType) => events === null || events.includes(type)
const isTold = ({ spec }: Pick<JobRow, 'spec'>, { type }: Pick<JobEvent, 'type'>) =>
  spec.webhook?.events.includes(type) ?? false
const isWanted = (endpoints: Endpoints, job: Pick<JobRow, 'spec' | 'project_id'>, event: JobEvent) =>
  isTold(job, event) || (endpoints.get(job.project_id)?.some((each) => hears(each, event.type)) ?? false)

function messagesOf(
  deps: FoldDeps,
  endpoints: Endpoints,
  { job, attempts, spent_micros }: Told,
  event: Pick<JobEvent, 'type' | 'sequence'>,
): Message[] {
  const { project_id, spec } = job
  const hearing = endpoints.get(project_id)?.filter((each) => hears(each, event.type)) ?? []
  const own = isTold(job, event) ? [{ id: null, url: spec.webhook?.url ?? '' }] : []
  if (hearing.length + own.length === 0) return []
  const { params: _, ...brief } = jobView(
    job,
    { attempts, heartbeats: [], spent_micros },
    { now: deps.now, public_url: deps.public_url(), brief: true },
  )
  const { type, sequence } = event
  const body = bodyOf(deps, type, (cut) => ({ job: cut(brief), sequence }))
  const about = { project_id, job_id: job.id, sequence, type, body }
  return [...own, ...hearing].map(({ id, url }) => message(deps, { ...about, webhook_id: id, url }))
}

function projectMessages(deps: FoldDeps, endpoints: Endpoints, event: NewEvent): Message[] {
  const { type, sequence = 0, data, project_id = '' } = event
  const hearing = endpoints.get(project_id)?.filter((each) => hears(each, type)) ?? []
  if (hearing.length === 0) return []
  const body = bodyOf(deps, type, () => ({ ...data, sequence }))
  const about = { project_id, job_id: null, sequence, type, body }
  return hearing.map(({ id, url }) => message(deps, { ...about, webhook_id: id, url }))
}

type About = Required<
  Pick<Message, 'project_id' | 'job_id' | 'sequence' | 'type' | 'body' | 'webhook_id' | 'url'>
>

/** A message that waits to be sent. */
export function message(deps: Pick<FoldDeps, 'now' | 'random'>, about: About): Message {
  const { now, random } = deps
  return { id: newId('dlv', now, random), ...about, state: 'pending', next_attempt_at: now, created_at: now }
}

/** What a message says; of a job that is too large for one the longest parts are left out, in this order. */
function bodyOf(
  { now }: FoldDeps,
  type: EventType,
  data: (cut: (view: Brief) => object) => Record<string, unknown>,
): string {
  let body = ''
  for (const cut of cuts) {
    body = JSON.stringify({ type, timestamp: now.toISOString(), data: data(cut) })
    if (Buffer.byteLength(body) < maxBody_bytes) return body
  }
  return body
}

type Brief = Omit<JobView, 'params'>

const cuts: readonly ((view: Brief) => object)[] = [
  (brief) => brief,
  (brief) => ({ ...brief, result: null }),
  (brief) => ({ ...brief, result: null, attempts: [], error: withoutLog(brief) }),
  (brief) => ({
    ...brief,
    result: null,
    attempts: [],
    error: withoutLog(brief),
    labels: {},
    warnings: [],
  }),
]

const withoutLog = ({ error }: Pick<JobView, 'error'>) =>
  error && { ...error, message: error.message.slice(0, 1_000), log_tail: null }

async function insertMessages(tx: Tx, messages: readonly Message[]): Promise<void> {
  for (let first = 0; first < messages.length; first += maxRows)
    await insertRows(tx, 'deliveries', messages.slice(first, first + maxRows))
}
