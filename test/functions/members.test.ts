// Who belongs to a project, as what, and how they come to.
import { expect, test } from 'vitest'
import type { Mail } from '../../jobs/identity.ts'
import { password, person, type Person } from '../support/people.ts'
import { openTestWorld, type World } from '../support/world.ts'

interface Invited {
  id: string
  token: string
  link: string
}

const members = async (world: World, key: string) => {
  const answer = await world.request('GET', `/v1/projects/${world.project_id}/members`, { key })
  const { items } = (await answer.json()) as { items: { email: string; role: string }[] }
  return Object.fromEntries(items.map(({ email, role }) => [email.split('@')[0], role]))
}
const setRole = (world: World, by: { secret: string }, of: Person, role: string) =>
  world.request('PATCH', `/v1/projects/${world.project_id}/members/${of.id}`, {
    key: by.secret,
    body: { role },
  })
const remove = (world: World, by: { secret: string }, of: Person) =>
  world.request('DELETE', `/v1/projects/${world.project_id}/members/${of.id}`, { key: by.secret })
const invite = (world: World, by: { secret: string }, email: string, role = 'member') =>
  world.request('POST', `/v1/projects/${world.project_id}/invitations`, {
    key: by.secret,
    body: { email, role },
  })
const accept = (world: World, by: { secret: string }, token: string) =>
  world.request('POST', '/v1/invitations/accept', { key: by.secret, body: { token } })

async function desk(world: World) {
  const member = (name: string, role: 'owner' | 'admin' | 'member') =>
    person(world, name, { project_id: world.project_id, role })
  return { owner: await member('owner', 'owner'), admin: await member('admin', 'admin') }
}

test('admins change members, and owners are changed by owners', async () => {
  await using world = await openTestWorld()
  const { owner, admin } = await desk(world)
  const carl = await person(world, 'carl', { project_id: world.project_id, role: 'member' })
  expect((await setRole(world, carl, carl, 'admin')).status).toBe(403)
  expect((await setRole(world, admin, carl, 'viewer')).status).toBe(200)
  expect((await setRole(world, admin, carl, 'owner')).status).toBe(403)
  expect((await setRole(world, admin, owner, 'member')).status).toBe(403)
  expect((await remove(world, admin, owner)).status).toBe(403)
  expect((await setRole(world, owner, admin, 'owner')).status).toBe(200)
  expect(await members(world, carl.secret)).toEqual({ owner: 'owner', admin: 'owner', carl: 'viewer' })
})

test('a project keeps an owner: the last one is neither lowered nor removed', async () => {
  await using world = await openTestWorld()
  const { owner, admin } = await desk(world)
  for (const refused of [await setRole(world, owner, owner, 'admin'), await remove(world, owner, owner)])
    expect([refused.status, await refused.json()]).toMatchObject([409, { code: 'last_owner' }])
  await setRole(world, owner, admin, 'owner')
  const [one, other] = await Promise.all([remove(world, owner, owner), remove(world, admin, admin)])
  expect(new Set([one.status, other.status])).toEqual(new Set([204, 409]))
})

test('anybody may leave, and sees nothing from then on', async () => {
  await using world = await openTestWorld()
  const { owner } = await desk(world)
  const carl = await person(world, 'carl', { project_id: world.project_id, role: 'viewer' })
  const path = `/v1/projects/${world.project_id}`
  expect((await world.request('GET', path, { key: carl.secret })).status).toBe(200)
  expect((await remove(world, carl, owner)).status).toBe(403)
  expect((await remove(world, carl, carl)).status).toBe(204)
  expect((await world.request('GET', path, { key: carl.secret })).status).toBe(404)
  const headers = { 'berth-project': world.project_id }
  expect((await world.request('GET', '/v1/jobs', { key: carl.secret, headers })).status).toBe(404)
  expect((await world.request('GET', '/v1/jobs', { key: carl.secret })).status).toBe(403)
})

test('somebody who is invited registers with the token, once, and with that address alone', async () => {
  const mails: Mail[] = []
  await using world = await openTestWorld(undefined, mails)
  const { admin } = await desk(world)
  const answer = await invite(world, admin, 'New@Example.com', 'viewer')
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([201, 'no-store'])
  const { token, link } = (await answer.json()) as Invited
  expect(link).toBe(`http://berth.test/accept-invitation#token=${token}`)
  expect(mails).toMatchObject([{ to: 'new@example.com', text: expect.stringContaining(link) as string }])
  const stored = await world.deps.db.selectFrom('invitations').selectAll().execute()
  expect(JSON.stringify(stored)).not.toContain(token)
  const register = (email: string) =>
    world.request('POST', '/v1/auth/register', {
      key: null,
      body: { email, name: 'New', password, invitation: token },
    })
  expect((await register('other@example.com')).status).toBe(422)
  expect((await register('new@example.com')).status).toBe(201)
  expect((await register('new@example.com')).status).toBe(422)
  expect(await members(world, admin.secret)).toMatchObject({ new: 'viewer' })
  // The token of the mail is the proof of the address.
  const login = { email: 'new@example.com', password }
  expect((await world.request('POST', '/v1/auth/login', { key: null, body: login })).status).toBe(200)
})

test('an invitation is accepted by whom it is for, until it is withdrawn or a week is over', async () => {
  await using world = await openTestWorld()
  const { owner, admin } = await desk(world)
  const eve = await person(world, 'eve', null)
  const dan = await person(world, 'dan', null)
  const { token } = (await (await invite(world, admin, dan.email)).json()) as Invited
  expect((await accept(world, eve, token)).status).toBe(422)
  expect((await accept(world, dan, token)).status).toBe(200)
  expect((await accept(world, dan, token)).status).toBe(422)
  expect((await invite(world, admin, dan.email)).status).toBe(422)
  expect((await invite(world, admin, eve.email, 'owner')).status).toBe(403)
  const late = (await (await invite(world, owner, eve.email, 'owner')).json()) as Invited
  world.advance(7 * 86_400)
  expect((await accept(world, eve, late.token)).status).toBe(422)
  const third = (await (await invite(world, admin, eve.email)).json()) as Invited
  const path = `/v1/projects/${world.project_id}/invitations`
  const open = await world.request('GET', path, { key: admin.secret })
  expect(await open.json()).toMatchObject({ items: [{ id: third.id, email: eve.email, role: 'member' }] })
  expect((await world.request('DELETE', `${path}/${third.id}`, { key: admin.secret })).status).toBe(204)
  expect((await accept(world, eve, third.token)).status).toBe(422)
  expect(await members(world, owner.secret)).toEqual({ owner: 'owner', admin: 'admin', dan: 'member' })
})

test('a person asks in the project that they name, else in that which they have belonged to longest', async () => {
  await using world = await openTestWorld()
  const { id } = await world.secondProject()
  const ada = await person(world, 'ada', { project_id: id, role: 'viewer' })
  world.advance(1)
  await world.deps.db
    .insertInto('project_members')
    .values({
      project_id: world.project_id,
      user_id: ada.id,
      role: 'admin',
      created_at: world.deps.clock.now(),
    })
    .execute()
  const me = async (headers: Record<string, string> = {}) => {
    const answer = await world.request('GET', '/v1/me', { key: ada.secret, headers })
    return (await answer.json()) as { project: { id: string }; role: string; is_operator: boolean }
  }
  expect(await me()).toMatchObject({ project: { id }, role: 'viewer', is_operator: false })
  const named = { 'berth-project': world.project_id }
  expect(await me(named)).toMatchObject({
    project: { id: world.project_id },
    role: 'admin',
    is_operator: true,
  })
  const asked = async (path: string, headers = {}) =>
    (await world.request('GET', path, { key: ada.secret, headers })).status
  expect([await asked('/v1/orphans'), await asked('/v1/orphans', named)]).toEqual([403, 200])
  // A path that names a project means that one.
  expect(await asked(`/v1/projects/${world.project_id}/invitations`)).toBe(200)
  const listed = await world.request('GET', '/v1/projects', { key: ada.secret })
  expect(await listed.json()).toMatchObject({ items: [{ id }, { id: world.project_id }] })
})

test('where registration is not open, operators alone make projects', async () => {
  await using world = await openTestWorld()
  const { admin } = await desk(world)
  const eve = await person(world, 'eve', null)
  const make = (by: Person) =>
    world.request('POST', '/v1/projects', { key: by.secret, body: { name: 'desk two' } })
  expect((await make(eve)).status).toBe(403)
  const made = (await (await make(admin)).json()) as { id: string; role: string }
  expect(made).toMatchObject({ name: 'desk two', role: 'owner', is_operator: false })
  const headers = { 'berth-project': made.id }
  const key = await world.request('POST', '/v1/keys', {
    key: admin.secret,
    headers,
    body: { name: 'first', role: 'admin' },
  })
  const { key: secret } = (await key.json()) as { key: string }
  const me = await world.request('GET', '/v1/me', { key: secret })
  expect(await me.json()).toMatchObject({ by: 'key', name: 'first', project: { id: made.id }, role: 'admin' })
})
