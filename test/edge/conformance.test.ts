// The same app on every runtime, through HTTP, on a real PostgreSQL: what a client does, what a runner says, and what is done behind
// the API. Each runtime is the real one, with the bundle that is built for it.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bundle, buildEdges, type EdgeRuntime, edgeRuntimes } from '../../infra/edge/build.ts'
import type { Database } from '../../jobs/store/schema.ts'
import { runnerToken } from '../../jobs/tokens.ts'
import type { JobView } from '../../jobs/view.ts'
import { nomadToken, openNomad } from '../fakes/nomad.ts'
import { createPostgresDatabase, isPostgres } from '../support/database.ts'
import { type EdgeWorld, openEdgeWorld } from '../support/edge-world.ts'
import { mailServer } from '../support/mail-server.ts'
import { patience_ms } from '../support/patience.ts'
import { noRuntime, type RunningEdge, startEdge } from '../support/edge-runtimes.ts'

const job = {
  kind: 'custom',
  params: { image: `registry.example.com/work@sha256:${'a'.repeat(64)}`, command: ['true'] },
  resources: { cpu: 1, memory_gib: 1, disk_gib: 1 },
}

async function openReceiver() {
  const heard: { headers: Record<string, string>; body: string }[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const headers = request.headers as Record<string, string>
      heard.push({ headers, body: Buffer.concat(parts).toString() })
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    heard,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => server.close(),
  }
}

let bundles: Record<EdgeRuntime, Bundle>
let folder: string
beforeAll(async () => {
  if (!isPostgres) return
  folder = mkdtempSync(join(tmpdir(), 'berth-edge-'))
  bundles = await buildEdges(folder)
})
afterAll(() => isPostgres && rmSync(folder, { recursive: true, force: true }))

/** Packages that vendors and this machine's own programs are reached by, which a function has no room for. */
const sdks =
  /node_modules\/(@aws-sdk|@smithy|@alicloud|tencentcloud-sdk|@kubernetes|@electric-sql|pino|prom-client)/

test.runIf(isPostgres)('a bundle has no SDK of a vendor, and that of a worker a megabyte at most', () => {
  for (const runtime of edgeRuntimes) {
    const { inputs } = bundles[runtime]
    expect(inputs.filter((path) => path.startsWith('functions/')).length).toBeGreaterThan(50)
    expect(inputs.filter((path) => sdks.test(path) || path.startsWith('migrations/'))).toEqual([])
  }
  expect(bundles.workerd.gzip_bytes).toBeLessThanOrEqual(1_000_000)
})

describe.runIf(isPostgres).each(edgeRuntimes)('%s', (runtime) => {
  const missing = noRuntime(runtime)
  let world: EdgeWorld
  let edge: RunningEdge
  let mails: Awaited<ReturnType<typeof mailServer>>
  beforeAll(async () => {
    if (missing !== null) return
    world = await openEdgeWorld(await createPostgresDatabase())
    mails = await mailServer()
    edge = await startEdge(runtime, bundles[runtime].file, { ...world.env, BERTH_SMTP_URL: mails.url })
  })
  afterAll(async () => {
    if (missing !== null) return
    await edge.close()
    mails[Symbol.dispose]()
    await world.close()
  })

  const ask = (path: string, init: RequestInit = {}, key = world.key) =>
    fetch(`${edge.url}${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        ...(init.headers as Record<string, string>),
      },
    })
  const post = async <Body>(path: string, body: unknown, key?: string): Promise<Body> => {
    const answer = await ask(path, { method: 'POST', body: JSON.stringify(body) }, key)
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as Body
  }
  const get = async <Body>(path: string) => (await (await ask(path)).json()) as Body
  /** Triggers the work behind the API until something has come of it. */
  const until = async <Found>(look: () => Promise<Found | null>): Promise<Found> => {
    for (const end = performance.now() + patience_ms; performance.now() < end;) {
      await edge.trigger()
      const found = await look()
      if (found !== null) return found
      await new Promise((done) => setTimeout(done, 50))
    }
    throw new Error('it did not come')
  }

  test.skipIf(missing !== null)('a submit with one key is one job, also when it comes again', async () => {
    const submit = () =>
      ask('/v1/jobs', {
        method: 'POST',
        body: JSON.stringify({ ...job, name: 'once' }),
        headers: { 'idempotency-key': 'once' },
      })
    const [first, again] = [await submit(), await submit()]
    expect([first.status, again.status]).toEqual([201, 200])
    const { id } = (await first.json()) as JobView
    expect(((await again.json()) as JobView).id).toBe(id)
    const { items } = await get<{ items: JobView[] }>('/v1/jobs?limit=10')
    expect(items.map((each) => each.id)).toEqual([id])
    const together = await Promise.all(Array.from({ length: 3 }, () => post<JobView>('/v1/jobs', job)))
    expect(new Set(together.map((each) => each.id)).size).toBe(3)
    await post(`/v1/jobs/cancel`, { state: 'queued' })
  })

  test.skipIf(missing !== null)(
    'what is wrong is a problem that names the field, and a stranger is refused',
    async () => {
      const wrong = await ask('/v1/jobs', {
        method: 'POST',
        body: JSON.stringify({ ...job, params: { command: ['true'] } }),
      })
      expect([wrong.status, wrong.headers.get('content-type')]).toEqual([422, 'application/problem+json'])
      expect(await wrong.json()).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'params.image' }],
      })
      expect((await ask('/v1/jobs', {}, 'berth_0')).status).toBe(401)
      expect((await ask('/nowhere')).status).toBe(404)
    },
  )

  test.skipIf(missing !== null)(
    'a person chooses a password by a mail and logs in, and the token is of this installation and this hour',
    async () => {
      const person = { email: `${runtime}@example.com`, password: 'a long enough password' }
      await post('/v1/auth/register', { ...person, name: 'Ada' })
      const forgotten = await ask(
        '/v1/auth/password/forgot',
        { method: 'POST', body: JSON.stringify({ email: person.email }) },
        '',
      )
      expect(forgotten.status).toBe(202)
      const token = await until(async () => tokenIn(mails.heard))
      person.password = 'another long enough password'
      const reset = { token, password: person.password }
      expect(
        (await ask('/v1/auth/password/reset', { method: 'POST', body: JSON.stringify(reset) }, '')).ok,
      ).toBe(true)
      const login = await post<{ access_token: string }>('/v1/auth/login', { ...person, as: 'token' }, '')
      const [, payload = ''] = login.access_token.split('.')
      const { iat, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
        iat: number
        exp: number
      }
      expect(exp - iat).toBe(900)
      expect(Math.abs(iat - new Date().getTime() / 1_000)).toBeLessThan(60)
      const me = await ask('/v1/me', {}, login.access_token)
      expect(await me.json()).toMatchObject({ by: 'user', email: person.email })
      expect((await ask('/v1/me', {}, `${login.access_token.slice(0, -4)}AAAA`)).status).toBe(401)
    },
  )

  test.skipIf(missing !== null)(
    'a job is launched by the pass, reported by its runner, followed, and told of',
    async () => {
      const nomad = await openNomad()
      const receiver = await openReceiver()
      try {
        const account = {
          provider: 'nomad',
          account: 'desk',
          settings: {
            url: nomad.url,
            shapes: [{ id: 'cpu-2', cpu: 2, memory_gib: 4, disk_gib: 20, usd_per_hour: 0.08 }],
          },
          credentials: { token: nomadToken },
        }
        await post('/v1/provider-accounts', account)
        const hook = await post<{ secret: string }>('/v1/webhooks', {
          url: receiver.url,
          events: ['job.succeeded'],
        })
        const { id } = await post<JobView>('/v1/jobs', job)
        const [attempt] = await until(async () => {
          const { attempts } = await get<JobView>(`/v1/jobs/${id}`)
          return attempts.length > 0 ? attempts : null
        })
        const say = await openRunner(world.db, world.runner_key, attempt?.id ?? '', (path, body, token) =>
          post(path, body, token),
        )
        await say('report', { type: 'started', instance: 'i-1' })
        const stream = await ask(`/v1/jobs/${id}/logs`, { headers: { accept: 'text/event-stream' } })
        expect(stream.headers.get('content-type')).toContain('text/event-stream')
        const lines = readLines(stream)
        for (const number of [1, 2])
          await say('logs', {
            number,
            at: new Date().toISOString(),
            stream: 'stdout',
            text: `line ${number}\n`,
          })
        expect(await lines.take(2)).toEqual(['line 1\n', 'line 2\n'])
        await say('report', { type: 'finished', exit_code: 0, failure: null, result: { answer: 42 } })
        await nomad.back.finish?.(attempt?.id ?? '', 0)
        const ended = await until(async () => {
          const now = await get<JobView>(`/v1/jobs/${id}`)
          return now.finished_at === null ? null : now
        })
        expect(ended).toMatchObject({ state: 'succeeded', result: { answer: 42 } })
        const told = await until(async () => receiver.heard[0] ?? null)
        expect(new Webhook(hook.secret).verify(told.body, told.headers)).toMatchObject({
          type: 'job.succeeded',
          data: { job: { id } },
        })
        await lines.close()
      } finally {
        receiver.close()
        await nomad.close()
      }
    },
  )
})

/** Of the link in a mail, as quoted-printable breaks and marks it (RFC 2045); null: there is none yet. */
function tokenIn(heard: readonly string[]): string | null {
  const text = heard.join('\n').replaceAll('=\n', '').replaceAll('=3D', '=')
  return heard.includes('.') ? (/token=([\w.-]+)/.exec(text)?.[1] ?? null) : null
}

/** Speaks as the runner of an attempt, whose token it makes as the launch did. */
async function openRunner(
  db: Database,
  runner_key: Uint8Array,
  attempt_id: string,
  post: (path: string, body: unknown, token: string) => Promise<unknown>,
) {
  const row = await db
    .selectFrom('attempts')
    .select(['shard_id', 'nonce'])
    .where('id', '=', attempt_id)
    .executeTakeFirstOrThrow()
  const token = runnerToken(runner_key, { attempt_id, ...row })
  return (what: 'report' | 'logs', body: object) => post(`/v1/attempts/${attempt_id}/${what}`, body, token)
}

/** The texts of a stream of log lines. */
function readLines(stream: Response) {
  const reader = stream.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader()
  return {
    async take(count: number): Promise<string[]> {
      const texts: string[] = []
      while (texts.length < count) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
        if (done) break
        texts.push((JSON.parse(value?.data ?? '{}') as { text: string }).text)
      }
      return texts
    },
    close: () => reader?.cancel(),
  }
}
