// A project taken along, and deleted for good.
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { kept, purgeProjects } from '../../jobs/purge-project.ts'
import { tableHashes } from '../support/table-hashes.ts'
import { canary, furnish, type Tenant } from '../support/tenant.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** A furnished project that is no operator's, beside one that is. */
async function openTenant(world: World): Promise<Tenant> {
  const tenant = await furnish(world)
  for (const [id, is_operator] of [
    [tenant.project_id, false],
    [tenant.neighbour.id, true],
  ] as const)
    await world.deps.db.updateTable('projects').set({ is_operator }).where('id', '=', id).execute()
  return tenant
}

const remove = (world: World, id: string, key: string, query = '') =>
  world.request('DELETE', `/v1/projects/${id}${query}`, { key })

/** Where a text stands in a row, and how many rows of a project each table has. */
async function whatIsLeft({ deps: { db } }: World, project_id: string) {
  const tables = Object.keys(await tableHashes(db))
  const named: string[] = []
  const rows: Record<string, number> = {}
  for (const table of tables) {
    const { rows: found } = await sql<{ all: number; own: number }>`select
      count(*) filter (where t::text ilike ${`%${canary}%`})::int as all,
      count(*) filter (where to_jsonb(t)->>'project_id' = ${project_id})::int as own
      from ${sql.table(table)} t`.execute(db)
    if ((found[0]?.all ?? 0) > 0) named.push(table)
    if ((found[0]?.own ?? 0) > 0) rows[table] = found[0]?.own ?? 0
  }
  return { named, rows }
}

async function objectsOf({ deps: { db } }: World): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`
    select object_key as key from artifacts union select object_key from dataset_parts
    union select object_key from datasets where object_key is not null
    union select checkpoint->>'object_key' from shards where checkpoint is not null`.execute(db)
  return rows.map(({ key }) => key)
}

test('an export has a line for each thing of the project, no secret, and nothing of another project', async () => {
  await using world = await openTestWorld()
  const tenant = await openTenant(world)
  const { key } = tenant.neighbour
  const exported = async (as: string) => {
    const answer = await world.request('GET', '/v1/project/export', { key: as })
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
    const text = await answer.text()
    return {
      text,
      lines: text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { type: string; data: { id?: string } }),
    }
  }
  const { text, lines } = await exported(world.key)
  expect(new Set(lines.map(({ type }) => type))).toEqual(
    new Set('project member invitation key secret webhook budget policy dataset job cost audit'.split(' ')),
  )
  const jobs = lines.filter(({ type }) => type === 'job')
  expect(jobs.map(({ data }) => data.id)).toContain(tenant.ended.job_id)
  expect(jobs.find(({ data }) => data.id === tenant.ended.job_id)?.data).toMatchObject({
    params: { strategy: { name: 'sma_cross' } },
    artifacts: [{ name: 'result.json', url: expect.stringContaining('/artifacts/result.json') as string }],
    logs: expect.stringContaining('/logs') as string,
  })
  for (const secret of [`${canary} value`, `${canary} credential`, world.key, 'whsec_', tenant.theirs.job_id])
    expect(text).not.toContain(secret)
  const theirs = await exported(key)
  // It has invited somebody of this project.
  const invited = canary.toLowerCase()
  expect(tenant.canaries.filter((each) => theirs.text.includes(each))).toEqual([invited])
})

test('a project is deleted by its owner or an operator, whoever else asks, and not while jobs are at work', async () => {
  await using world = await openTestWorld()
  const tenant = await openTenant(world)
  const { project_id, people, neighbour } = tenant
  const before = await tableHashes(world.deps.db)
  const status = async (key: string, id = project_id) => (await remove(world, id, key)).status
  expect(await status(world.key)).toBe(403)
  expect(await status(people.viewer.secret)).toBe(403)
  expect(await status(neighbour.key, neighbour.id)).toBe(403)
  const refused = await remove(world, project_id, people.owner.secret)
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { code: 'jobs_at_work', detail: expect.stringContaining('3 jobs have not ended') as string },
  ])
  expect(await tableHashes(world.deps.db)).toEqual(before)
  const answer = await remove(world, project_id, neighbour.key, '?cancel_jobs=true')
  expect([answer.status, await answer.json()]).toMatchObject([202, { id: project_id, cancelled: 3 }])
  expect(await status(neighbour.key)).toBe(404)
  const ask = async (method: string, path: string, key: string, body?: unknown) =>
    (await world.request(method, path, { key, body })).status
  expect(await ask('POST', '/v1/jobs', world.key, backtest())).toBe(401)
  expect(await ask('GET', `/v1/projects/${project_id}`, people.owner.secret)).toBe(404)
  const mine = await world.request('GET', '/v1/projects', { key: people.owner.secret })
  expect(await mine.json()).toMatchObject({ items: [] })
})

test('nothing of a deleted project is left but what the books need, however often the server dies on the way', async () => {
  await using world = await openTestWorld()
  const { project_id, people, neighbour } = await openTenant(world)
  const objects = (await objectsOf(world)).filter((key) => key.startsWith(project_id))
  expect(objects.length).toBeGreaterThan(3)
  const others = await tableHashes(world.deps.db, project_id)
  expect((await remove(world, project_id, people.owner.secret, '?cancel_jobs=true')).status).toBe(202)
  let calls = 0
  const dying: World['deps'] = {
    ...world.deps,
    store: {
      ...world.deps.store,
      delete: (key) => (++calls % 2 === 0 ? Promise.reject(new Error('died')) : world.deps.store.delete(key)),
    },
  }
  const project = () =>
    world.deps.db.selectFrom('projects').selectAll().where('id', '=', project_id).executeTakeFirstOrThrow()
  // What was under way when its job was removed comes later than that.
  const late = async () => {
    const attempts = world.deps.db.selectFrom('attempts').select(['id', 'job_id', 'created_at'])
    const { id, job_id, created_at } = await attempts
      .where('project_id', '=', project_id)
      .limit(1)
      .executeTakeFirstOrThrow()
    const line = {
      number: 9_999,
      at: created_at,
      stream: 'stdout' as const,
      text: canary,
      partition_at: created_at,
    }
    await world.deps.db
      .insertInto('log_chunks')
      .values({ project_id, job_id, attempt_id: id, ...line })
      .execute()
  }
  let deaths = 0
  for (let round = 0; round < 60 && (await project()).purged_at === null; round++) {
    if (round === 8) await late()
    await world.pass()
    world.advance(60)
    await purgeProjects(dying).catch(() => deaths++)
  }
  expect(deaths).toBeGreaterThan(1)
  expect(await project()).toMatchObject({
    name: '',
    webhook_secret_sealed: 'none',
    purged_at: expect.any(Date) as Date,
  })
  for (const key of objects) expect([key, await world.deps.store.get(key)]).toEqual([key, null])
  const { named, rows } = await whatIsLeft(world, project_id)
  // What the installation's accounts and people are called is not the project's, nor is whom another project invites.
  expect(named.toSorted()).toEqual(['audit_log', 'invitations', 'orphans', 'provider_accounts', 'users'])
  expect(Object.keys(rows).toSorted()).toEqual(kept.filter((table) => table in rows))
  expect(rows['ledger']).toBeGreaterThan(0)
  const after = await tableHashes(world.deps.db, project_id)
  for (const table of ['api_keys', 'artifacts', 'webhooks', 'secrets', 'project_members', 'invitations'])
    expect([table, after[table]]).toEqual([table, others[table]])
  expect((await world.request('GET', '/v1/jobs', { key: neighbour.key })).status).toBe(200)
})
