// A Berth without a server: a database of its own, a clock that only tests move, a provider that obeys.
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../../functions/_app.ts'
import { keepCatalogue } from '../../jobs/catalogue.ts'
import type { Deps } from '../../jobs/deps.ts'
import type { Mail } from '../../jobs/identity.ts'
import { createKey } from '../../jobs/keys.ts'
import { createKeyUse } from '../../jobs/key-use.ts'
import { createHealth } from '../../jobs/health.ts'
import { createLanes } from '../../jobs/lanes.ts'
import { runPass } from '../../jobs/reconcile.ts'
import { deliverDue } from '../../jobs/webhooks.ts'
import { describeTable } from '../../infra/describe-table.ts'
import { createFolderStore } from '../../infra/object-store.ts'
import { ensureInstallation } from '../../infra/first-start.ts'
import { createIdentity } from '../../infra/identity.ts'
import { createMeter } from '../../infra/metrics.ts'
import { readRunnerFiles } from '../../infra/runner-files.ts'
import { createSealer } from '../../infra/secrets.ts'
import { createColumnReader } from '../../infra/tables/reader.ts'
import { samplePrices } from '../../infra/tables/samples.ts'
import { createWaker } from '../../infra/waker.ts'
import { createModelProvider } from './model-provider.ts'
import { openTestDatabase } from './database.ts'

export type World = Awaited<ReturnType<typeof openTestWorld>>

/** `opened`: a database for it, migrated and empty; else one of the tests'. `mails`: gets those that are sent; null: none can be. */
export async function openTestWorld(
  opened?: Awaited<ReturnType<typeof openTestDatabase>>,
  mails: Mail[] | null = null,
) {
  const { db, close } = opened ?? (await openTestDatabase())
  const folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
  let now_ms = Date.parse('2026-03-02T09:00:00Z')
  const clock = { now: () => new Date(now_ms) }
  const random = seededBytes('world')
  const sealer = createSealer(Buffer.alloc(32, 7))
  const installation = await ensureInstallation({ db, clock, random, sealer })
  const model = createModelProvider(clock)
  const catalogued = keepCatalogue()
  const sent: { url: string; headers: Headers; body: string }[] = []
  let receiver: (url: string) => Response | Promise<Response> = () => new Response('', { status: 200 })
  let registry: (image: string) => ReturnType<Deps['resolve_image']> = () =>
    Promise.resolve({ state: 'found', digest: `sha256:${'0'.repeat(64)}` })
  const logged: { level: string; message: string; fields?: object | undefined }[] = []
  const meter = createMeter(() => deps)
  const tables = createColumnReader()
  const deps: Deps = {
    db,
    clock,
    random,
    gather: () => Promise.resolve(),
    sealer,
    store: createFolderStore(folder),
    describe_table: describeTable,
    tables,
    sample_prices: samplePrices,
    runner_key: Buffer.alloc(32, 9),
    installation,
    identity: createIdentity({
      db,
      random,
      key: Buffer.alloc(32, 5),
      installation,
      verifies_email: mails !== null,
      log: (level, message, fields) => void logged.push({ level, message, fields }),
    }),
    send_mail: mails === null ? null : async (mail) => void mails.push(mail),
    providers: [model.provider],
    offers: () => catalogued(model.offers),
    offer_sources: () => [],
    waker: createWaker(),
    lanes: createLanes(),
    health: createHealth({ clock, pause: () => Promise.resolve(), tell: () => undefined, meter }),
    outbound_fetch: async (url, init) => {
      sent.push({
        url,
        headers: new Headers(init.headers),
        body: typeof init.body === 'string' ? init.body : '',
      })
      return receiver(url)
    },
    check_target: (url) => (url.includes('forbidden') ? 'is not allowed' : null),
    resolve_target: (url) => Promise.resolve(url.includes('rebound') ? 'leads to a private address' : null),
    resolve_image: (image) => registry(image),
    vendors: async () => ({}),
    rates: null,
    settings: {
      berth_url: () => 'http://berth.test',
      is_reachable: true,
      public_url: () => 'http://berth.test',
      max_queued: 50,
      sse_max_s: 1,
      // Jobs of tests are equal, and each is to run: tests of the result cache name a version.
      program_version: () => null,
      image: () => null,
      cache_ttl_s: 3_600,
      cache_max_entries: 1_000,
      keep_days: 90,
      audit_keep_days: 400,
      registration: 'closed',
      cors_origins: [],
      is_proxy: () => false,
      local_data_dirs: [],
    },
    runner_files: async () => readRunnerFiles(),
    key_use: createKeyUse(),
    meter,
    log: (level, message, fields) => void logged.push({ level, message, fields }),
  }
  const app = createApp(deps)
  const project = await db.selectFrom('projects').select('id').executeTakeFirstOrThrow()
  const key = await createKey(deps, project.id, 'test', 'admin')
  const pass = async (replica = 'rep_one') => {
    const { decided, calls } = await runPass(deps, replica)
    await calls
    return decided
  }
  return {
    deps,
    app,
    model,
    key,
    sent,
    logged,
    project_id: project.id,
    pass,
    /** Passes until a pass changes nothing that is due now. */
    async settle(rounds = 10) {
      for (let round = 0; round < rounds; round++) await pass()
    },
    advance(seconds: number) {
      now_ms += seconds * 1_000
    },
    /** Sends until nothing is due; answers how many were tried. */
    async deliver() {
      for (let sum = 0; ;) {
        const { tried, done } = await deliverDue(deps)
        await done
        if (tried === 0) return sum
        sum += tried
      }
    },
    /** What the registries of images answer. */
    registries(answer: typeof registry) {
      registry = answer
    },
    receive(answer: typeof receiver) {
      receiver = answer
    },
    async request(
      method: string,
      path: string,
      options: { body?: unknown; key?: string | null; headers?: Record<string, string> } = {},
    ) {
      const headers = new Headers(options.headers)
      if (options.key !== null) headers.set('authorization', `Bearer ${options.key ?? key}`)
      const init: RequestInit = { method, headers }
      if (options.body !== undefined) {
        if (!headers.has('content-type')) headers.set('content-type', 'application/json')
        init.body = typeof options.body === 'string' ? options.body : JSON.stringify(options.body)
      }
      return app.request(path, init)
    },
    /** Another tenant and its key. */
    async secondProject() {
      const id = 'prj_second'
      await db
        .insertInto('projects')
        .values({ id, name: 'second', webhook_secret_sealed: 'none', created_at: clock.now() })
        .execute()
      return { id, key: await createKey(deps, id, 'second', 'admin') }
    },
    async [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true })
      await close()
    },
  }
}

/** Bytes that depend on the seed and the calls before alone. */
export function seededBytes(seed: string): (bytes: number) => Uint8Array {
  let counter = 0
  return (bytes) => {
    const out = Buffer.alloc(bytes)
    for (let at = 0; at < bytes; at += 32)
      createHash('sha256').update(`${seed}/${counter++}`).digest().copy(out, at)
    return new Uint8Array(out)
  }
}

/** The smallest backtest that is accepted. */
export function backtest(more: Record<string, unknown> = {}) {
  return {
    kind: 'backtest',
    params: {
      data: { dataset: 'sample:sp500-20', symbols: ['AAPL'] },
      strategy: { name: 'sma_cross' },
      parameters: { fast: 10, slow: 50 },
    },
    ...more,
  }
}
