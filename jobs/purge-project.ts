// Removes what a deleted project has, in pieces. Each is removed for good before it is forgotten, objects before the rows that name them,
// so that a server that dies in the middle leaves the rest to be found by the next one.
import { type RawBuilder, sql } from 'kysely'
import { audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { cancelJobs, hideJobs } from './orders.ts'
import { purgeJob } from './retention.ts'
import type { Tx } from './store/schema.ts'

/** Projects of one round. */
const projects = 10
/** Jobs, datasets or rows that are removed at once. */
const batch = 100
const rowBatch = 5_000
/** Pieces of one round of one project: the next round, a minute later, goes on. */
const pieces = 50
/**
 * What was under way when the project was deleted has ended by then, whatever it wrote: requests, uploads of runners, messages. Until
 * then every round looks again.
 */
const settle_ms = 15 * 60_000

/**
 * Rows of a project that nothing else names, in an order in which none names one that is gone; jobs and datasets are removed before. Large
 * tables have no index by project: their rows are found by what they belong to, since a look through everybody's would take as long as
 * everybody has data.
 */
const tables = [
  ['delivery_attempts', 'delivery_id', 'deliveries of jobs'],
  ['delivery_attempts', 'delivery_id', 'deliveries of webhooks'],
  ['deliveries', 'job_id', 'jobs'],
  ['deliveries', 'webhook_id', 'webhooks'],
  ['receivers', 'project_id', null],
  ['webhooks', 'project_id', null],
  ['events', 'project_id', null],
  ['feed_floors', 'project_id', null],
  ['heartbeats', 'attempt_id', 'attempts'],
  ['idempotency', 'project_id', null],
  ['job_lists', 'job_id', 'jobs'],
  ['log_chunks', 'attempt_id', 'attempts'],
  ['log_sizes', 'attempt_id', 'attempts'],
  ['points', 'job_id', 'jobs'],
  ['result_cache', 'project_id', null],
  ['reservations', 'attempt_id', 'attempts'],
  ['budget_periods', 'project_id', null],
  ['budgets', 'project_id', null],
  ['policies', 'project_id', null],
  ['secrets', 'project_id', null],
  ['invitations', 'project_id', null],
  ['project_members', 'project_id', null],
  ['api_keys', 'project_id', null],
] as const

type Owner = Exclude<(typeof tables)[number][2], null>

/** Ids of what a project has. */
const owned = (project_id: string): Record<Owner, RawBuilder<unknown>> => {
  const jobs = sql`select id from jobs where project_id = ${project_id}`
  const webhooks = sql`select id from webhooks where project_id = ${project_id}`
  return {
    jobs,
    webhooks,
    attempts: sql`select id from attempts where project_id = ${project_id}`,
    'deliveries of jobs': sql`select id from deliveries where job_id in (${jobs})`,
    'deliveries of webhooks': sql`select id from deliveries where webhook_id in (${webhooks})`,
  }
}
/** What stays of a project, for the books: docs/security.md says what of it and why. */
export const kept = ['attempts', 'audit_log', 'jobs', 'ledger', 'shards'] as const

/** One round over the projects that are deleted and not yet gone. */
export async function purgeProjects(deps: Deps): Promise<void> {
  const due = await deps.db
    .selectFrom('projects')
    .select(['id', 'deleted_at'])
    .where('deleted_at', 'is not', null)
    .where('purged_at', 'is', null)
    .orderBy('deleted_at')
    .limit(projects)
    .execute()
  for (const { id, deleted_at } of due) {
    const isEmpty = await purgeSome(deps, id)
    const since_ms = deps.clock.now().getTime() - (deleted_at?.getTime() ?? 0)
    if (isEmpty && since_ms >= settle_ms) await close(deps, id)
  }
}

/** Answers whether nothing was left to be removed. */
async function purgeSome(deps: Deps, project_id: string): Promise<boolean> {
  await cancelJobs(deps, project_id, { states: null }, undefined)
  for (let piece = 0; piece < pieces; piece++) {
    const removed = (await hideSome(deps, project_id)) || (await purgeJobs(deps, project_id))
    if (removed) continue
    // Runners that have not ended go on to write.
    if (await hasOpenJobs(deps, project_id)) return false
    if (await purgeDatasets(deps, project_id)) continue
    if (!(await purgeRows(deps, project_id))) return true
  }
  return false
}

async function hasOpenJobs({ db }: Deps, project_id: string): Promise<boolean> {
  const open = db.selectFrom('jobs').select('id').where('project_id', '=', project_id).where(isOpen)
  return (await open.limit(1).executeTakeFirst()) !== undefined
}

/** The pass has to do with it: it has not ended, or a machine of it is not known to have. */
const isOpen = sql<boolean>`(finished_at is null
  or exists (select from shards where shards.job_id = jobs.id and due_at is not null)
  or exists (select from attempts where attempts.job_id = jobs.id and attempts.state <> 'ended'))`

async function hideSome(deps: Deps, project_id: string): Promise<boolean> {
  const jobs = await deps.db
    .selectFrom('jobs')
    .select('id')
    .where('project_id', '=', project_id)
    .where('finished_at', 'is not', null)
    .where('deleted_at', 'is', null)
    .limit(batch)
    .execute()
  if (jobs.length === 0) return false
  const ids = jobs.map(({ id }) => id)
  await deps.db.transaction().execute((tx) => hideJobs(tx, project_id, ids, deps.clock.now()))
  return true
}

async function purgeJobs(deps: Deps, project_id: string): Promise<boolean> {
  const now = deps.clock.now()
  const jobs = await deps.db
    .selectFrom('jobs')
    .select('id')
    .where('project_id', '=', project_id)
    .where('deleted_at', 'is not', null)
    .where(hasContent)
    .where(sql<boolean>`not ${isOpen}`)
    .limit(batch)
    .execute()
  for (const { id } of jobs) {
    for (const key of await objectsOf(deps, id)) await deps.store.delete(key)
    await deps.db.transaction().execute(async (tx) => {
      await purgeJob(tx, id, now)
      await blank(tx, id)
    })
  }
  return jobs.length > 0
}

const hasContent = sql<boolean>`(spec::text <> '{}' or exists (
  select from artifacts where artifacts.job_id = jobs.id))`

async function objectsOf({ db }: Deps, job_id: string): Promise<string[]> {
  const { rows } = await sql<{ object_key: string }>`
    select object_key from artifacts where job_id = ${job_id}
    union select checkpoint->>'object_key' from shards where job_id = ${job_id} and checkpoint is not null`.execute(
    db,
  )
  return rows.map(({ object_key }) => object_key)
}

/** What it was, and what is to be paid for it, stays; what it was about goes. */
async function blank(tx: Tx, job_id: string): Promise<void> {
  await tx.deleteFrom('artifacts').where('job_id', '=', job_id).execute()
  await sql`update jobs set name = null, spec = '{}', labels = '{}', error = null, warnings = '[]', result = null,
    cache_key = null, follows = null, cached_from = null, dataset_id = null where id = ${job_id}`.execute(tx)
  await sql`update attempts set request = '{}', handle = null, error = null, host = null, finished = null, ranking = null,
    seen_detail = null, signature = null, instance = null, bootstrap_machine = null where job_id = ${job_id}`.execute(
    tx,
  )
  await sql`delete from heartbeats where attempt_id in (select id from attempts where job_id = ${job_id})`.execute(
    tx,
  )
}

async function purgeDatasets(deps: Deps, project_id: string): Promise<boolean> {
  const rows = await deps.db
    .selectFrom('datasets')
    .select(['id', 'object_key'])
    .where('project_id', '=', project_id)
    .limit(batch)
    .execute()
  for (const { id, object_key } of rows) {
    const parts = await deps.db
      .selectFrom('dataset_parts')
      .select('object_key')
      .where('dataset_id', '=', id)
      .execute()
    for (const key of [object_key, ...parts.map((part) => part.object_key)])
      if (key !== null) await deps.store.delete(key)
    await deps.db.transaction().execute(async (tx) => {
      await tx.deleteFrom('dataset_parts').where('dataset_id', '=', id).execute()
      await tx.deleteFrom('datasets').where('id', '=', id).execute()
    })
  }
  return rows.length > 0
}

/** Some rows of the first table that has any; answers whether there were any. */
async function purgeRows({ db }: Deps, project_id: string): Promise<boolean> {
  const ids = owned(project_id)
  for (const [table, column, owner] of tables) {
    const whose = sql`${sql.ref(column)} ${owner === null ? sql`= ${project_id}` : sql`in (${ids[owner]})`}`
    // A row of a table in months is named by its month as well.
    const { numAffectedRows } = await sql`delete from ${sql.table(table)} where (tableoid, ctid) in (
      select tableoid, ctid from ${sql.table(table)} where ${whose} limit ${rowBatch})`.execute(db)
    if ((numAffectedRows ?? 0n) > 0n) return true
  }
  await db.deleteFrom('limits').where('scope', '=', 'project').where('key', '=', project_id).execute()
  return false
}

/** Nothing is left but what the books need. */
async function close(deps: Deps, id: string): Promise<void> {
  const purged_at = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('projects')
      .set({ purged_at, name: '', webhook_secret_sealed: 'none' })
      .where('id', '=', id)
      .where('purged_at', 'is', null)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) return
    const actor = { by: 'berth', id: null, address: null, request_id: null } as const
    await audit({ ...deps, db: tx }, actor, { project_id: id, action: 'project.purged', subject: id })
  })
}
