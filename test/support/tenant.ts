// A tenant that has one of everything, so that others can be seen to have none of it.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { invite } from '../../jobs/invitations.ts'
import { createKey } from '../../jobs/keys.ts'
import { newId } from '../../jobs/ids.ts'
import { bootstrapToken } from '../../jobs/tokens.ts'
import type { Vendor } from '../../jobs/vendor.ts'
import { secretContext } from '../../jobs/webhooks.ts'
import { another, person } from './people.ts'
import { backtest, type World } from './world.ts'

/** In every name and text of the tenant. */
export const canary = 'Canary7f3a'
const csv = 'date,symbol,close\n2020-01-02,A,10.5\n2020-01-03,A,11\n2020-01-06,A,10\n'
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

export type Tenant = Awaited<ReturnType<typeof furnish>>

/** Calls and expects success: what is set up must be there. */
async function must<Body>(world: World, method: string, path: string, options: object = {}): Promise<Body> {
  const answer = await world.request(method, path, options)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return (text === '' ? null : JSON.parse(text)) as Body
}

async function uploaded(world: World) {
  const about = { name: canary, format: 'csv', bytes: csv.length, sha256: sha256(csv), adjustment: 'total' }
  const { id } = await must<{ id: string }>(world, 'POST', '/v1/datasets', { body: about })
  const bytes = { body: csv, headers: { 'content-type': 'application/octet-stream' } }
  await must(world, 'PUT', `/v1/datasets/${id}/parts/0`, bytes)
  await must(world, 'POST', `/v1/datasets/${id}/complete`)
  const begun = { ...about, name: `${canary} begun`, sha256: sha256('other'), bytes: 5 }
  const { id: upload_id } = await must<{ id: string }>(world, 'POST', '/v1/datasets', { body: begun })
  const put = { body: 'other', headers: { 'content-type': 'application/octet-stream' } }
  await must(world, 'PUT', `/v1/datasets/${upload_id}/parts/0`, put)
  return { dataset_id: id, upload_id }
}

/** Submits and launches a job; answers it with its attempt and what its runner has. */
async function launched(world: World, key: string, body: object) {
  const { id } = await must<{ id: string }>(world, 'POST', '/v1/jobs', { key, body })
  await world.settle(2)
  const row = await world.deps.db
    .selectFrom('attempts')
    .select(['id', 'shard_id', 'nonce'])
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow()
  const token = world.model.machines.get(row.id)?.token ?? ''
  const post = (path: string, said: unknown) =>
    must(world, 'POST', `/v1/attempts/${row.id}/${path}`, { key: token, body: said })
  const bootstrap = bootstrapToken(world.deps.runner_key, {
    attempt_id: row.id,
    shard_id: row.shard_id,
    nonce: row.nonce,
  })
  return { job_id: id, attempt_id: row.id, shard_id: row.shard_id, token, bootstrap, post }
}

/** Everything that a project can have, in the first project of the world, and a neighbour with a job of its own. */
export async function furnish(world: World) {
  const [offer] = world.model.offers
  if (offer) offer.slots = 20
  const cloud = vendor(world)
  world.deps.vendors = async () => ({ cloud })
  const ask = <Body>(method: string, path: string, body?: unknown) =>
    must<Body>(world, method, path, body === undefined ? {} : { body })
  const { id: webhook_id } = await ask<{ id: string }>('POST', '/v1/webhooks', {
    url: `https://${canary.toLowerCase()}.example.com/hook`,
    description: canary,
  })
  const { dataset_id, upload_id } = await uploaded(world)
  await ask('PUT', `/v1/secrets/${canary}`, { value: `${canary} value` })
  const { id: budget_id } = await ask<{ id: string }>('PUT', '/v1/budgets', {
    scope: 'label',
    label: { name: 'desk', value: canary },
    limit_usd: 100,
  })
  await ask('PUT', '/v1/policy', { regions: ['here', canary] })
  const { id: limit_id } = await ask<{ id: string }>('PUT', '/v1/limits', {
    scope: 'project',
    key: world.project_id,
    max_running: 20,
  })
  const { id: account_id } = await ask<{ id: string }>('POST', '/v1/provider-accounts', {
    provider: 'cloud',
    account: canary.toLowerCase(),
    enabled: false,
    credentials: { token: `${canary} credential` },
  })
  const work = (more: object = {}) => backtest({ name: canary, labels: { desk: canary }, ...more })
  const ended = await launched(world, world.key, work())
  await ended.post('report', { type: 'started', instance: 'one' })
  await ended.post('logs', {
    number: 1,
    at: '2026-03-02T09:00:01Z',
    stream: 'stdout',
    text: `${canary} says\n`,
  })
  await putFile(world, ended, 'result.json', `"${canary}"`)
  await ended.post('report', {
    type: 'finished',
    exit_code: 0,
    failure: null,
    result: { told: canary },
    points: [{ point: 1, objective: 1, parameters: { told: canary }, metrics: {} }],
  })
  const running = await launched(
    world,
    world.key,
    work({ params: { ...backtest().params, data: { dataset: dataset_id } } }),
  )
  await running.post('report', { type: 'started', instance: 'two' })
  const state = `${canary} state`
  await putFile(world, running, 'checkpoints/a', state)
  await running.post('report', {
    type: 'checkpoint',
    name: 'checkpoints/a',
    bytes: state.length,
    sha256: sha256(state),
  })
  const machine = await launched(world, world.key, work())
  const { id: queued_id } = await ask<{ id: string }>(
    'POST',
    '/v1/jobs',
    work({ resources: { cpu: 64, memory_gib: 64 } }),
  )
  await world.settle(3)
  await world.deliver()
  const delivery = await world.deps.db.selectFrom('deliveries').select('id').executeTakeFirstOrThrow()
  const orphan_id = await orphaned(world)
  const neighbour = await world.secondProject()
  await world.deps.db
    .updateTable('projects')
    .set({ webhook_secret_sealed: world.deps.sealer.seal('whsec_theirs', secretContext(neighbour.id)) })
    .where('id', '=', neighbour.id)
    .execute()
  const theirs = await launched(world, neighbour.key, backtest())
  const people = await crowd(world, neighbour.id)
  const ids = { webhook_id, dataset_id, upload_id, budget_id, limit_id, account_id, queued_id, orphan_id }
  return {
    ...ids,
    secret: canary,
    project_id: world.project_id,
    key_id: await spareKey(world),
    delivery_id: delivery.id,
    ended,
    running,
    machine,
    neighbour,
    theirs,
    keys: await otherKeys(world),
    people,
    canaries: [
      people.owner.id,
      people.viewer.email,
      people.invitation_id,
      canary,
      canary.toLowerCase(),
      world.project_id,
      ...Object.values(ids),
      delivery.id,
      ...[ended, running, machine].flatMap((each) => [each.job_id, each.attempt_id, each.shard_id]),
    ],
  }
}

async function putFile(
  world: World,
  { attempt_id, token }: { attempt_id: string; token: string },
  name: string,
  body: string,
) {
  const headers = { 'content-type': 'application/octet-stream' }
  const path = `/v1/attempts/${attempt_id}/artifacts/${encodeURIComponent(name)}`
  await must(world, 'PUT', path, { key: token, body, headers })
}

async function orphaned(world: World): Promise<string> {
  const now = world.deps.clock.now()
  const id = newId('orp', now, world.deps.random)
  await world.deps.db
    .insertInto('orphans')
    .values({
      id,
      provider: 'model',
      account: 'main',
      name: canary.toLowerCase(),
      attempt_id: null,
      handle: '{}',
      usd_micros_per_hour: 1,
      first_seen_at: now,
      last_seen_at: now,
    })
    .execute()
  return id
}

/** A key that nobody uses, to be rotated and revoked. */
async function spareKey({ deps, project_id }: World): Promise<string> {
  await createKey(deps, project_id, 'spare', 'member')
  const { id } = await deps.db
    .selectFrom('api_keys')
    .select('id')
    .where('project_id', '=', project_id)
    .where('name', '=', 'spare')
    .executeTakeFirstOrThrow()
  return id
}

/** Keys of the tenant that are less than its admin's, and those that are no longer any. */
async function otherKeys(world: World) {
  const { deps, project_id } = world
  const make = (name: string, role: 'viewer' | 'member') => createKey(deps, project_id, name, role)
  const keys = {
    viewer: await make('viewer', 'viewer'),
    member: await make('member', 'member'),
    expired: await make('expired', 'member'),
    revoked: await make('revoked', 'member'),
    forData: await createKey(deps, project_id, 'for data', 'admin', null, ['data:read']),
    forJobs: await createKey(deps, project_id, 'for jobs', 'admin', null, ['jobs:read']),
  }
  const at = deps.clock.now()
  await deps.db.updateTable('api_keys').set({ expires_at: at }).where('name', '=', 'expired').execute()
  await deps.db.updateTable('api_keys').set({ revoked_at: at }).where('name', '=', 'revoked').execute()
  return keys
}

/** People of the tenant, one of the neighbour, and what each has open. */
async function crowd(world: World, neighbour_id: string) {
  const { deps, project_id } = world
  const member = (name: string, role: 'owner' | 'member' | 'viewer') =>
    person(world, `${canary}-${name}`, { project_id, role })
  const owner = await member('owner', 'owner')
  const viewer = await member('viewer', 'viewer')
  const leaver = await member('leaver', 'member')
  const stranger = await person(world, 'stranger', { project_id: neighbour_id, role: 'owner' })
  const signedOut = await another(world, owner.email)
  await deps.db.deleteFrom('sessions').where('id', '=', signedOut.session_id).execute()
  const token = await deps.identity.issueToken({ ...signedOut, user_id: owner.id })
  // Made at the first use.
  await deps.identity.publicKeys()
  const actor = { by: 'berth', id: null, address: null, request_id: null } as const
  const grant = {
    by: 'key',
    id: 'key_x',
    role: 'admin',
    is_operator: false,
    changes: 0,
    has_endpoints: false,
    scopes: null,
  } as const
  const inviteTo = (project: string, email: string) =>
    invite(deps, actor, { ...grant, project_id: project }, { email, role: 'member' })
  const { id: invitation_id } = await inviteTo(project_id, `${canary.toLowerCase()}-new@example.com`)
  const { token: invitation_token } = await inviteTo(neighbour_id, owner.email)
  return {
    owner,
    viewer,
    leaver,
    stranger,
    ended: { secret: signedOut.secret, token },
    spare: await another(world, owner.email),
    last: await another(world, owner.email),
    invitation_id,
    invitation_token,
  }
}

const vendor = (world: World): Vendor => ({
  settings: z.strictObject({}),
  credentials: z.strictObject({ token: z.string() }),
  remote: false,
  open: ({ account }) => Promise.resolve({ ...world.model.provider, name: 'cloud', account }),
})
