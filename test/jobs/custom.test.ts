// Jobs of any image and command: what is accepted, where they are launched, and who sees their secrets.
import { describe, expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

export const custom = (params: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({
  kind: 'custom',
  params: { image: 'ghcr.io/desk/model:1', command: ['python', 'train.py'], ...params },
  ...more,
})

const secret = 'a-long-secret-value'
/** What the registries of a world answer, and what is pulled by it. */
const digest = `sha256:${'0'.repeat(64)}`
const pulled = `ghcr.io/desk/model@${digest}`

async function open() {
  const world = await openTestWorld()
  Object.assign(world.model.provider.traits, { runs_images: true })
  return world
}

async function put(world: World, name: string, body: object, key = world.key) {
  return (await world.request('PUT', `/v1/secrets/${name}`, { body, key })).status
}

async function submit(world: World, body: object): Promise<JobView> {
  const answer = await world.request('POST', '/v1/jobs', { body })
  expect(answer.status, await answer.clone().text()).toBe(201)
  return (await answer.json()) as JobView
}

/** The machine of the newest launch, and what its runner is told. */
async function launched(world: World) {
  await world.settle()
  const [attempt_id, machine] = [...world.model.machines].at(-1) ?? []
  if (!attempt_id || !machine) throw new Error('nothing was launched')
  const say = (path: string, init: RequestInit = {}) =>
    world.app.request(`/v1/attempts/${attempt_id}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${machine.token}`, 'content-type': 'application/json' },
    })
  return { attempt_id, machine, say }
}

const post = (body: object): RequestInit => ({ method: 'POST', body: JSON.stringify(body) })

const wrong: [string, Record<string, unknown>, string, string][] = [
  ['no image', { image: '' }, 'params.image', 'must be an image'],
  ['an image that is an option', { image: '--privileged' }, 'params.image', 'must be an image'],
  ['half a digest', { image: 'a@sha256:12' }, 'params.image', 'must be an image'],
  ['no command', { command: [] }, 'params.command', 'must name what to run'],
  ['a variable of ours', { env: { BERTH_TOKEN: 'x' } }, 'params.env.BERTH_TOKEN', 'reserved'],
  ['no variable', { env: { 'a b': 'x' } }, 'params.env.a b', 'letters, digits'],
  ['a way out', { outputs: ['../*'] }, 'params.outputs.0', 'within the work folder'],
  ['another way out', { outputs: ['/etc/*'] }, 'params.outputs.0', 'within the work folder'],
  ['a command in a pattern', { outputs: ['$(reboot)'] }, 'params.outputs.0', 'must be of A-Z'],
  ['an unknown secret', { secrets: ['NONE'] }, 'params.secrets.0', 'PUT /v1/secrets/NONE makes it'],
  ['an unknown registry', { registry: 'NONE' }, 'params.registry', 'there is no secret NONE'],
  ['a secret as a registry', { registry: 'KEY' }, 'params.registry', 'of the type value'],
  ['a registry as a secret', { secrets: ['GHCR'] }, 'params.secrets.0', 'of the type registry'],
  ['a secret twice', { secrets: ['KEY', 'KEY'] }, 'params.secrets.1', 'named twice'],
  ['a secret in env too', { secrets: ['KEY'], env: { KEY: 'x' } }, 'params.secrets.0', 'is in env too'],
  ['an unknown field', { entrypoint: 'x' }, 'params.entrypoint', ''],
]

test('what cannot be run is refused with its field', async () => {
  await using world = await open()
  await put(world, 'KEY', { value: secret })
  await put(world, 'GHCR', { registry: { server: 'ghcr.io', username: 'desk', password: secret } })
  const jobs = wrong.map(([, params]) => custom(params))
  const batch = await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
  const { items } = (await batch.json()) as { items: { problem?: { errors: object[] } }[] }
  for (const [index, [what, , path, message]] of wrong.entries())
    expect(items[index]?.problem?.errors, what).toContainEqual({
      path,
      message: expect.stringContaining(message),
    })
  const answer = await world.request('POST', '/v1/jobs', { body: { kind: 'other', params: {} } })
  expect(await answer.text()).toContain('must be \\"backtest\\", \\"training\\" or \\"custom\\"')
})

describe('an image', () => {
  test('is fixed by its digest when the job is submitted, and every attempt runs that', async () => {
    await using world = await open()
    const asked: string[] = []
    world.registries((image) => {
      asked.push(image)
      return Promise.resolve({ state: 'found', digest })
    })
    const job = await submit(world, custom())
    expect(job).toMatchObject({ params: { image: `ghcr.io/desk/model:1@${digest}` }, warnings: [] })
    // What the job says can be sent again as it is, and is not asked for.
    const again = await submit(world, custom(job.params as Record<string, unknown>))
    expect(again.params).toEqual(job.params)
    expect(asked).toEqual(['ghcr.io/desk/model:1'])
    const { machine } = await launched(world)
    expect(machine.request.image).toBe(pulled)
  })

  test('that its registry does not tell of is taken with a warning', async () => {
    await using world = await open()
    world.registries(() =>
      Promise.resolve({ state: 'unread', why: 'ghcr.io refuses to tell without a login' }),
    )
    const { params, warnings } = await submit(world, custom())
    expect(params).toMatchObject({ image: 'ghcr.io/desk/model:1' })
    expect(warnings).toMatchObject([
      { code: 'image_not_pinned', message: expect.stringContaining('refuses to tell without a login') },
    ])
  })

  test('that is not there is refused, in its place of a batch', async () => {
    await using world = await open()
    world.registries((image) =>
      Promise.resolve(
        image.endsWith(':2')
          ? { state: 'missing', why: 'ghcr.io has no desk/model:2' }
          : { state: 'found', digest },
      ),
    )
    const jobs = [custom(), custom({ image: 'ghcr.io/desk/model:2' }), backtest()]
    const batch = await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
    const { items } = (await batch.json()) as { items: { problem?: { errors: object[] } }[] }
    expect(items.map(({ problem }) => problem?.errors ?? null)).toEqual([
      null,
      [{ path: 'params.image', message: 'is not there: ghcr.io has no desk/model:2' }],
      null,
    ])
  })

  test('is looked up once for all jobs of a request, and twenty at most', async () => {
    await using world = await open()
    let asked = 0
    world.registries(() => {
      asked++
      return Promise.resolve({ state: 'found', digest })
    })
    const jobs = [
      custom(),
      custom(),
      ...Array.from({ length: 24 }, (_, n) => custom({ image: `desk/m:${n}` })),
    ]
    const batch = await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
    expect(batch.status).toBeLessThan(300)
    expect(asked).toBe(20)
  })
})

describe('secrets', () => {
  test('are written by admins, shown by name, replaced and deleted', async () => {
    await using world = await open()
    expect(await put(world, 'KEY', { value: 'one' })).toBe(200)
    expect(await put(world, 'KEY', { value: secret })).toBe(200)
    expect(
      await put(world, 'GHCR', { registry: { server: 'ghcr.io', username: 'u', password: secret } }),
    ).toBe(200)
    const listed = await (await world.request('GET', '/v1/secrets')).text()
    expect(JSON.parse(listed)).toMatchObject({
      items: [
        { name: 'GHCR', type: 'registry' },
        { name: 'KEY', type: 'value' },
      ],
    })
    expect(listed).not.toContain(secret)
    expect((await world.request('GET', '/v1/secrets/KEY')).status).toBe(405)
    expect(JSON.stringify(await world.deps.db.selectFrom('secrets').selectAll().execute())).not.toContain(
      secret,
    )
    for (const bad of [
      { value: '' },
      { value: 'a\0b' },
      { value: 'x'.repeat(40_000) },
      {},
      { value: 'a', more: 1 },
      { registry: { server: 'x' } },
    ])
      expect(await put(world, 'KEY', bad)).toBe(422)
    expect(await put(world, '9-no', { value: 'x' })).toBe(422)
    expect((await world.request('DELETE', '/v1/secrets/KEY')).status).toBe(204)
    expect((await world.request('DELETE', '/v1/secrets/KEY')).status).toBe(404)
    expect(world.logged.map((each) => JSON.stringify(each)).join()).not.toContain(secret)
  })

  test('are of a project, and members only use them', async () => {
    await using world = await open()
    await put(world, 'KEY', { value: secret })
    const other = await world.secondProject()
    expect(await (await world.request('GET', '/v1/secrets', { key: other.key })).json()).toMatchObject({
      items: [],
    })
    const answer = await world.request('POST', '/v1/jobs', {
      body: custom({ secrets: ['KEY'] }),
      key: other.key,
    })
    expect(answer.status).toBe(422)
    expect((await world.request('DELETE', '/v1/secrets/KEY', { key: other.key })).status).toBe(404)
    // A sealed value is bound to its row.
    await put(world, 'KEY', { value: 'theirs' }, other.key)
    const stolen = world.deps.db
      .selectFrom('secrets')
      .select('sealed')
      .where('project_id', '=', world.project_id)
    await world.deps.db
      .updateTable('secrets')
      .set({ sealed: stolen })
      .where('project_id', '=', other.id)
      .execute()
    const { project_id } = await world.deps.db
      .selectFrom('secrets')
      .select('project_id')
      .where('project_id', '=', other.id)
      .executeTakeFirstOrThrow()
    expect(project_id).toBe(other.id)
    await world.request('POST', '/v1/jobs', { body: custom({ secrets: ['KEY'] }), key: other.key })
    const { say } = await launched(world)
    const spec = await say('/spec')
    expect([spec.status, (await spec.text()).includes(secret)]).toEqual([500, false])
  })

  test('have a bound for each project', async () => {
    await using world = await open()
    const at = world.deps.clock.now()
    const rows = Array.from({ length: 200 }, (_, index) => ({
      project_id: world.project_id,
      name: `S${index}`,
      type: 'value' as const,
      sealed: 'x',
      created_at: at,
      updated_at: at,
    }))
    await world.deps.db.insertInto('secrets').values(rows).execute()
    expect(await put(world, 'ONE_MORE', { value: 'x' })).toBe(422)
    expect(await put(world, 'S7', { value: 'another' })).toBe(200)
  })
})

describe('a custom job', () => {
  test('is launched as its image with the runner that fetches itself, and with the credential of its registry', async () => {
    await using world = await open()
    const registry = { server: 'ghcr.io', username: 'desk', password: secret }
    await put(world, 'GHCR', { registry })
    await submit(world, custom({ registry: 'GHCR' }))
    const { machine } = await launched(world)
    expect(machine.request).toMatchObject({
      kind: 'custom',
      image: pulled,
      command: ['sh', '-c', expect.any(String)],
    })
    expect(machine.registry).toEqual(registry)
    expect(JSON.stringify(await world.deps.db.selectFrom('attempts').selectAll().execute())).not.toContain(
      secret,
    )
  })

  test('does not go where no containers run', async () => {
    await using world = await openTestWorld()
    const job = await submit(world, custom())
    expect(job.warnings).toMatchObject([{ code: 'unsatisfiable' }])
    await world.settle()
    expect(world.model.machines.size).toBe(0)
    const answer = await world.request('GET', `/v1/jobs/${job.id}/explain`)
    expect(await answer.text()).toContain('no_containers')
    // Others do.
    await submit(world, backtest())
    await world.settle()
    expect(world.model.machines.size).toBe(1)
  })

  test('runs no image that the policy of its project does not name', async () => {
    await using world = await open()
    await world.request('PUT', '/v1/policy', { body: { images: ['ghcr.io/other/', 'ghcr.io/desk/'] } })
    const other = await submit(world, custom({ image: 'docker.io/desk/model:1' }))
    await submit(world, custom())
    await world.settle()
    expect([...world.model.machines.values()].map(({ request }) => request.image)).toEqual([pulled])
    expect(await (await world.request('GET', `/v1/jobs/${other.id}/explain`)).text()).toContain('"policy"')
  })

  test('gets its variables and secrets through the runner alone', async () => {
    await using world = await open()
    await put(world, 'KEY', { value: secret })
    const job = await submit(
      world,
      custom({ env: { MODE: "it's" }, secrets: ['KEY'], outputs: ['*.csv', 'model/*'] }),
    )
    const { say } = await launched(world)
    const spec = (await (await say('/spec')).json()) as { program: unknown; params: unknown; inputs: unknown }
    expect(spec.program).toEqual({
      command: ['python', 'train.py'],
      env: { MODE: "it's", KEY: secret },
      outputs: ['*.csv', 'model/*'],
    })
    expect(JSON.stringify(spec.params)).not.toContain(secret)
    expect(await (await say('/spec?format=sh')).text()).toBe(
      [
        '# outputs',
        '# *.csv',
        '# model/*',
        '# end',
        "timeout_s='7200'",
        "grace_s='30'",
        "export MODE='it'\\''s'",
        `export KEY='${secret}'`,
        "set -- 'python' 'train.py'",
        '',
      ].join('\n'),
    )
    const shown = [
      await (await world.request('GET', `/v1/jobs/${job.id}`)).text(),
      await (await world.request('GET', '/v1/jobs')).text(),
      await (await world.request('GET', `/v1/jobs/${job.id}/attempts`)).text(),
      JSON.stringify(world.logged),
    ]
    for (const table of ['jobs', 'shards', 'attempts', 'events', 'secrets'] as const)
      shown.push(JSON.stringify(await world.deps.db.selectFrom(table).selectAll().execute()))
    expect(shown.join()).not.toContain(secret)
  })

  test('has the values of its secrets masked in its log and its last words', async () => {
    await using world = await open()
    await put(world, 'KEY', { value: secret })
    const job = await submit(world, custom({ secrets: ['KEY'] }))
    const { say } = await launched(world)
    await say('/report', post({ type: 'started', instance: 'one' }))
    const chunk = { number: 1, at: '2026-01-01T00:00:00Z', stream: 'stdout', text: `login with ${secret}!\n` }
    expect((await say('/logs', post(chunk))).status).toBe(200)
    const failed = {
      type: 'finished',
      exit_code: 3,
      failure: null,
      error: { message: `401 for ${secret}` },
      artifacts: [],
    }
    expect((await say('/report', post(failed))).status).toBe(200)
    world.advance(1)
    await world.settle()
    const log = await (await world.request('GET', `/v1/jobs/${job.id}/logs`)).text()
    expect(log).toContain('login with [masked]!')
    const shown = await (await world.request('GET', `/v1/jobs/${job.id}`)).text()
    expect(shown + log).not.toContain(secret)
    expect(shown).toContain('401 for [masked]')
  })

  test('has them masked however its program writes them, and whole where one begins with another', async () => {
    await using world = await open()
    const value = 'p/w "ñ" (1)+\\x!'
    await put(world, 'SHORT', { value: 'hunter22' })
    await put(world, 'LONG', { value: 'hunter22-of-production' })
    await put(world, 'ODD', { value })
    await put(world, 'PEM', { value: '-----BEGIN-----\nMIIEowIBAAKCAQEA\n-----END-----\n' })
    const job = await submit(world, custom({ secrets: ['SHORT', 'LONG', 'ODD', 'PEM'] }))
    const { say } = await launched(world)
    await say('/report', post({ type: 'started', instance: 'one' }))
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const lines = [
      'hunter22-of-production',
      JSON.stringify({ value }),
      // As Python's json writes it.
      JSON.stringify({ value }).replace('ñ', '\\u00f1').replace('ñ', '\\u00f1'),
      `?q=${encodeURIComponent(value)}`,
      // As Python's quote and quote_plus do.
      '/p/w%20%22%C3%B1%22%20%281%29%2B%5Cx%21',
      'q=p%2Fw+%22%C3%B1%22+%281%29%2B%5Cx%21',
      base64('hunter22-of-production'),
      base64(`u:hunter22-of-production`),
      base64(`me:hunter22-of-production?`),
      'MIIEowIBAAKCAQEA',
    ]
    const text = lines.map((line) => `${line}\n`).join('')
    const chunk = { number: 1, at: '2026-01-01T00:00:00Z', stream: 'stdout', text }
    expect((await say('/logs', post(chunk))).status).toBe(200)
    const log = await (await world.request('GET', `/v1/jobs/${job.id}/logs?format=text`)).text()
    const kept = log.trimEnd().split('\n')
    expect(kept.map((line) => line.includes('[masked]'))).toEqual(lines.map(() => true))
    expect(kept.filter((line) => /production|%5C|\\\\x|aHVudGVy|cHJvZHVj|MIIE/.test(line))).toEqual([])
  })

  test('has credentials that are known by their form masked in its last words too', async () => {
    await using world = await open()
    const job = await submit(world, custom())
    const { say } = await launched(world)
    await say('/report', post({ type: 'started', instance: 'one' }))
    const error = { message: 'refused: postgres://desk:hunter22@db/prices' }
    await say('/report', post({ type: 'finished', exit_code: 3, failure: null, error, artifacts: [] }))
    world.advance(1)
    await world.settle()
    const shown = (await (await world.request('GET', `/v1/jobs/${job.id}`)).json()) as object
    expect(shown).toMatchObject({ error: { message: 'refused: postgres://desk:[masked]@db/prices' } })
  })

  test('whose secret was deleted meanwhile is told so', async () => {
    await using world = await open()
    await put(world, 'KEY', { value: secret })
    await submit(world, custom({ secrets: ['KEY'] }))
    const { say } = await launched(world)
    await world.request('DELETE', '/v1/secrets/KEY')
    const answer = await say('/spec')
    expect([answer.status, await answer.text()]).toEqual([
      422,
      expect.stringContaining('The secret KEY was deleted'),
    ])
  })

  test('is estimated without a duration, is never taken from the cache, and shares no GPU', async () => {
    await using world = await open()
    const estimate = await world.request('POST', '/v1/jobs/estimate', { body: custom() })
    expect(await estimate.json()).toMatchObject({
      shards: 1,
      cached: null,
      offers: [{ expected_duration_s: null }],
    })
    const [one, two] = [await submit(world, custom()), await submit(world, custom())]
    await world.settle()
    expect(world.model.machines.size).toBe(2)
    expect([one.cached_from, two.cached_from]).toEqual([null, null])
    const limits = await (await world.request('GET', '/v1/limits')).json()
    expect(limits).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ key: 'custom/gpu', max_running: 1 })]),
    })
    const listed = await (await world.request('GET', '/v1/jobs?kind=custom')).json()
    expect(listed).toMatchObject({ items: [{ id: two.id }, { id: one.id }] })
  })

  test('takes files as base64 from a runner that can only post text', async () => {
    await using world = await open()
    const job = await submit(world, custom())
    const { say } = await launched(world)
    await say('/report', post({ type: 'started', instance: 'one' }))
    const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, at) => at % 256))
    const lines = bytes.toString('base64').replace(/.{76}/g, '$&\n')
    const sent = await say('/artifacts/model%2Fm.bin', { method: 'POST', body: lines })
    expect([sent.status, await sent.json()]).toMatchObject([200, { bytes: 1_000 }])
    for (const bad of ['a', 'ab==cd==', '!!!!', 'é'])
      expect((await say('/artifacts/bad.bin', { method: 'POST', body: bad })).status).toBe(422)
    const read = await world.request('GET', `/v1/jobs/${job.id}/artifacts/model%2Fm.bin`)
    expect(Buffer.from(await read.arrayBuffer())).toEqual(bytes)
  })
})

test('the runner is given to everyone who asks, and nothing else', async () => {
  await using world = await open()
  const script = await world.request('GET', '/v1/runner/runner.sh', { key: null })
  expect([script.status, (await script.text()).startsWith('#!/bin/sh\n')]).toEqual([200, true])
  const zip = await world.request('GET', '/v1/runner/runner.pyz', { key: null })
  expect([zip.status, (await zip.text()).startsWith('PK')]).toEqual([200, true])
  expect((await world.request('GET', '/v1/runner/..%2Fsettings.py', { key: null })).status).toBe(422)
})
