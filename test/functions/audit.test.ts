// Who did what: written with the change or not at all, never changed, and shown to whom it concerns.
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { dropOldPartitions } from '../../jobs/retention.ts'
import { person } from '../support/people.ts'
import { openTestWorld, type World } from '../support/world.ts'

interface Entry {
  id: string
  at: string
  by: string
  actor: string | null
  action: string
  subject: string | null
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  project_id: string | null
  request_id: string | null
}
const read = async (world: World, query = '', key = world.key) => {
  const answer = await world.request('GET', `/v1/audit${query}`, { key })
  return (await answer.json()) as { items: Entry[]; next_cursor: string | null }
}
const actions = async (world: World, query?: string) =>
  (await read(world, query)).items.map(({ action }) => action)

test('what is changed is told with who did it, and what it was before', async () => {
  await using world = await openTestWorld()
  const put = (limit_usd: number) =>
    world.request('PUT', '/v1/budgets', { body: { scope: 'project', limit_usd } })
  await put(10)
  world.advance(1)
  const answer = await put(20)
  const { id } = (await answer.json()) as { id: string }
  const { items } = await read(world)
  const key = await world.deps.db.selectFrom('api_keys').select('id').executeTakeFirstOrThrow()
  expect(items).toMatchObject([
    {
      action: 'budget.put',
      by: 'key',
      actor: key.id,
      subject: id,
      project_id: world.project_id,
      before: { limit_usd: 10 },
      after: { limit_usd: 20 },
      at: world.deps.clock.now().toISOString(),
      request_id: answer.headers.get('x-request-id'),
    },
    { before: null, after: { limit_usd: 10 } },
  ])
})

test('every kind of setting is told of, and no secret with it', async () => {
  await using world = await openTestWorld()
  const secret = 'Hunter2-hunter2'
  const send = async (method: string, path: string, body?: unknown) => {
    const answer = await world.request(method, path, body === undefined ? {} : { body })
    expect([path, answer.status < 300]).toEqual([path, true])
    const text = await answer.text()
    return (text === '' ? {} : JSON.parse(text)) as { id: string; key: string; secret: string }
  }
  const key = await send('POST', '/v1/keys', { name: 'desk' })
  const next = await send('POST', `/v1/keys/${key.id}/rotate`, {})
  await send('DELETE', `/v1/keys/${next.id}`)
  await send('PUT', '/v1/secrets/TOKEN', { value: secret })
  await send('DELETE', '/v1/secrets/TOKEN')
  const hook = await send('POST', '/v1/webhooks', { url: `https://example.com/${secret}` })
  const rotated = await send('POST', `/v1/webhooks/${hook.id}/rotate`, {})
  await send('PATCH', `/v1/webhooks/${hook.id}`, { url: `https://example.org/${secret}` })
  await send('DELETE', `/v1/webhooks/${hook.id}`)
  await send('PUT', '/v1/policy', { regions: ['here'] })
  await send('PATCH', '/v1/project', { name: 'renamed' })
  const told = await read(world)
  expect(told.items.map(({ action }) => action).toReversed()).toEqual([
    'key.created',
    'key.rotated',
    'key.revoked',
    'secret.put',
    'secret.deleted',
    'webhook.created',
    'webhook.rotated',
    'webhook.changed',
    'webhook.deleted',
    'policy.put',
    'project.changed',
  ])
  const text = JSON.stringify(told)
  for (const each of [secret, key.key, next.key, hook.secret, rotated.secret])
    expect(text).not.toContain(each)
})

test('a change that is refused is not told of, and one that cannot be told of is not made', async () => {
  await using world = await openTestWorld()
  await world.request('DELETE', '/v1/secrets/NONE')
  expect(await actions(world)).toEqual([])
  // A row that the log cannot take: the policy goes with it.
  await sql`alter table audit_log add constraint no_policies check (action <> 'policy.put')`.execute(
    world.deps.db,
  )
  try {
    await world.request('PUT', '/v1/policy', { body: { regions: ['here'] } })
    const policy = await world.request('GET', '/v1/policy')
    expect(await policy.json()).toEqual({})
  } finally {
    await sql`alter table audit_log drop constraint no_policies`.execute(world.deps.db)
  }
})

test('the database refuses to change or remove what was told, but for months that are over', async () => {
  await using world = await openTestWorld()
  const { db } = world.deps
  await world.request('PUT', '/v1/policy', { body: {} })
  await expect(sql`update audit_log set actor_id = null`.execute(db)).rejects.toThrow('never changed')
  await expect(sql`delete from audit_log`.execute(db)).rejects.toThrow('never changed')
  await expect(sql`truncate audit_log`.execute(db)).rejects.toThrow('never changed')
  expect(await actions(world)).toEqual(['policy.put'])
  await db.transaction().execute(async (tx) => {
    await sql`create table audit_log_2020_01 partition of audit_log
      for values from ('2020-01-01Z') to ('2020-02-01Z')`.execute(tx)
    await sql`insert into audit_log (at, actor_by, action) values ('2020-01-15Z', 'berth', 'old')`.execute(tx)
    const dropped = await dropOldPartitions(tx, new Date(0), new Date('2020-02-01Z'))
    expect(dropped).toEqual(['audit_log_2020_01'])
  })
  expect(await actions(world, '?of=installation')).toEqual(['policy.put'])
})

test('log-ins, passwords and log-outs are told of, with where from', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'owner' })
  await world.request('POST', '/v1/auth/login', {
    key: null,
    body: { email: ada.email, password: 'not this one' },
  })
  const body = { current: 'correct horse battery', password: 'a new passphrase' }
  await world.request('POST', '/v1/auth/password', { key: ada.secret, body })
  await world.request('POST', '/v1/auth/logout', { key: ada.secret })
  const { items } = await read(world, '?of=installation')
  expect(items.map(({ action, actor }) => [action, actor])).toEqual([
    ['session.ended', ada.id],
    ['password.changed', ada.id],
    ['login.failed', null],
    ['session.opened', ada.id],
    ['user.created', ada.id],
  ])
})

test('admins read their own project’s log, operators all of it, by filters and in pages', async () => {
  await using world = await openTestWorld()
  const { key } = await world.secondProject()
  for (const of of [world.key, key, world.key]) {
    world.advance(60)
    await world.request('PUT', '/v1/policy', { key: of, body: {} })
    await world.request('POST', '/v1/keys', { key: of, body: { name: 'another' } })
  }
  expect((await read(world, '', key)).items.map((each) => each.project_id)).toEqual([
    'prj_second',
    'prj_second',
  ])
  const refused = await world.request('GET', '/v1/audit?of=installation', { key })
  expect(refused.status).toBe(403)
  expect((await read(world, '?of=installation')).items).toHaveLength(6)
  expect(await actions(world, '?action=key.')).toEqual(['key.created', 'key.created'])
  expect(await actions(world, '?action=policy.put')).toHaveLength(2)
  const since = encodeURIComponent(new Date(world.deps.clock.now().getTime() - 1_000).toISOString())
  expect(await actions(world, `?from=${since}`)).toEqual(['key.created', 'policy.put'])
  const first = await read(world, '?limit=3')
  const rest = await read(world, `?limit=3&cursor=${first.next_cursor}`)
  expect([first.items.length, rest.items.length, rest.next_cursor]).toEqual([3, 1, null])
  expect(new Set([...first.items, ...rest.items].map(({ id }) => id)).size).toBe(4)
})

test('the log is exported as lines of JSON and as a table that no spreadsheet runs', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/keys', { body: { name: '=HYPERLINK("https://evil.example")' } })
  const lines = await world.request('GET', '/v1/audit/export')
  expect(lines.headers.get('content-type')).toBe('application/x-ndjson')
  expect(JSON.parse(await lines.text())).toMatchObject({ action: 'key.created' })
  await world.deps.db
    .insertInto('audit_log')
    .values({ ...nothing, at: world.deps.clock.now(), project_id: world.project_id, subject: '=1+1' })
    .execute()
  const csv = await (await world.request('GET', '/v1/audit/export?format=csv')).text()
  expect(csv.split('\r\n').slice(0, 2)).toEqual([
    'id,at,project_id,by,actor,address,request_id,action,subject,before,after',
    expect.stringContaining(`"test","'=1+1",,`) as string,
  ])
})

const nothing = {
  actor_by: 'berth',
  actor_id: null,
  address: null,
  request_id: null,
  action: 'test',
  before: null,
  after: null,
} as const
