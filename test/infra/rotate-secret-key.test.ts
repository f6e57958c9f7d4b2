// Another secret key while servers serve: both open, all is sealed anew, then the old one goes.
import { randomBytes } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { compose } from '../../infra/compose.ts'
import { parseConfig } from '../../infra/config.ts'
import { main as rotate } from '../../infra/rotate-secret-key.ts'
import { createSealer } from '../../infra/secrets.ts'
import { missingKeys, resealAll } from '../../jobs/reseal.ts'
import { runnerToken } from '../../jobs/tokens.ts'
import { furnish } from '../support/tenant.ts'
import { openTestWorld } from '../support/world.ts'
import { newFolder } from './new-folder.ts'

const keys = [randomBytes(32), randomBytes(32), randomBytes(32)] as const
const text = (key: Buffer) => key.toString('base64')

test('every sealed value is sealed anew, and opens with the new key alone', async () => {
  await using world = await openTestWorld()
  const tenant = await furnish(world)
  const { db, sealer: old } = world.deps
  await world.request('POST', `/v1/webhooks/${tenant.webhook_id}/rotate`, { body: {} })
  // A neighbour of the tests has a secret that nobody sealed.
  const [own, both] = [createSealer(keys[0]), createSealer(keys[0], Buffer.alloc(32, 7))]
  const [missing] = await missingKeys({ db, sealer: own })
  expect(missing?.key_id).toBe(old.key_id)
  expect(await missingKeys({ db, sealer: both })).toEqual([])
  expect(await resealAll({ db, sealer: both })).toBe(missing?.values)
  expect(await missingKeys({ db, sealer: own })).toEqual([])
  expect(await resealAll({ db, sealer: both })).toBe(0)
  world.deps.sealer = own
  const secret = await world.request('GET', '/v1/webhooks/secret')
  expect(await secret.json()).toMatchObject({ secret: expect.stringMatching(/^whsec_/) as string })
  const sent = world.sent.length
  expect((await world.request('POST', `/v1/webhooks/${tenant.webhook_id}/test`)).status).toBe(200)
  // The old secret of the webhook signs beside the new one.
  expect(world.sent[sent]?.headers.get('webhook-signature')?.split(' ')).toHaveLength(2)
})

const opened: (() => Promise<void>)[] = []
afterAll(() => Promise.all(opened.map((close) => close())))

async function startIn(folder: string, env: Record<string, string>) {
  const config = parseConfig({
    BERTH_DATA_DIR: folder,
    BERTH_PORT: '0',
    BERTH_LOCAL_PROVIDER: 'false',
    BERTH_LOG_LEVEL: 'error',
    ...env,
  })
  const { deps, close } = await compose(config)
  opened.push(close)
  const app = createApp(deps)
  const end = async () => {
    opened.splice(opened.indexOf(close), 1)
    await close()
  }
  return { deps, app, end }
}
const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  [
    path,
    {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    },
  ] as const

test('sessions and runners’ tokens outlive the key, and a server without the right key does not start', async () => {
  const [first, second, third] = keys
  const folder = newFolder()
  const start = (env: Record<string, string>) => startIn(folder, env)
  const before = await start({ BERTH_SECRET_KEY: text(first) })
  const user = { email: 'ada@example.com', password: 'correct horse battery' }
  await before.deps.identity.signUp({ ...user, name: 'Ada' })
  const login = await before.app.request(...post('/v1/auth/login', { ...user, as: 'token' }))
  const { refresh_token, access_token } = (await login.json()) as Record<string, string>
  const bearer = { attempt_id: 'att_1', shard_id: 'shd_1', nonce: 'n' }
  const runner = runnerToken(before.deps.runner_key, bearer)
  await before.end()
  await expect(start({ BERTH_SECRET_KEY: text(second) })).rejects.toThrow(/does not open \d+ secrets/)
  const during = { BERTH_SECRET_KEY: text(second), BERTH_SECRET_KEY_OTHER: text(first) }
  expect(await rotate(parseConfig({ BERTH_DATA_DIR: folder, ...during }))).toMatch(
    /^\d+ secrets were sealed anew/,
  )
  await expect(start({ BERTH_SECRET_KEY: text(first) })).rejects.toThrow('does not open')
  const after = await start({ BERTH_SECRET_KEY: text(second) })
  for (const token of [refresh_token, access_token]) {
    const answer = await after.app.request('/v1/auth/sessions', {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(answer.status).toBe(200)
  }
  expect(runnerToken(after.deps.runner_key, bearer)).toBe(runner)
  await after.end()
  // The embedded database has one server, which seals anew when it starts.
  const next = await start({ BERTH_SECRET_KEY: text(third), BERTH_SECRET_KEY_OTHER: text(second) })
  expect(await missingKeys({ db: next.deps.db, sealer: createSealer(third) })).toEqual([])
  await next.end()
})

test('a rotation names the key that is missing', async () => {
  await expect(rotate(parseConfig({ BERTH_DATA_DIR: newFolder() }))).rejects.toThrow(
    'name the old key in BERTH_SECRET_KEY_OTHER',
  )
})
