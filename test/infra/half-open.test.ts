// A line to PostgreSQL that goes silent without a word, as a firewall or a lost machine makes it.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { openDatabase } from '../../infra/db.ts'
import { isPostgres } from '../support/database.ts'
import { createFleetDatabase } from '../support/fleet.ts'
import { backtest, openTestWorld } from '../support/world.ts'

/** Short, so that silence is noticed soon. */
const timeout_ms = 300

/** Forwards bytes to PostgreSQL until it is told to swallow those of the connections that there are. */
async function openLine(database_url: string) {
  const { port, hostname } = new URL(database_url)
  const lines = new Set<{ silent: boolean; sockets: Socket[] }>()
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    const line = { silent: false, sockets: [near, far] }
    lines.add(line)
    near.on('data', (bytes) => line.silent || far.write(bytes))
    far.on('data', (bytes) => line.silent || near.write(bytes))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined)
      one.on('close', () => line.silent || other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(database_url)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    connections: () => lines.size,
    silence() {
      for (const line of lines) line.silent = true
    },
    [Symbol.dispose]() {
      for (const { sockets } of lines) for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

describe.skipIf(!isPostgres)('a line to PostgreSQL that goes silent', () => {
  test('is given up: the request is told to come again, and the next one is answered', async () => {
    const database_url = await createFleetDatabase(inject('postgres_url'))
    using line = await openLine(database_url)
    const near = await openDatabase({
      database_url: line.url,
      data_dir: '',
      database_connections: 1,
      database_timeout_ms: timeout_ms,
    })
    const far = await openDatabase({ database_url, data_dir: '' })
    await using world = await openTestWorld({ db: far.db, close: far.close })
    const app = createApp({ ...world.deps, db: near.db })
    const submit = () =>
      app.request('/v1/jobs', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${world.key}`,
          'content-type': 'application/json',
          'idempotency-key': 'k',
        },
        body: JSON.stringify(backtest()),
      })
    await sql`select 1`.execute(near.db)
    line.silence()
    const refused = await submit()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await refused.json()).toMatchObject({ code: 'busy' })
    const before = line.connections()
    expect((await submit()).status).toBe(201)
    expect(line.connections()).toBe(before + 1)
    expect(await world.deps.db.selectFrom('jobs').select('id').execute()).toHaveLength(1)
    await near.close()
  })

  test('or that now leads to one who stands by is replaced by one to who took over', async () => {
    const database_url = await createFleetDatabase(inject('postgres_url'))
    const { db, close } = await openDatabase({ database_url, data_dir: '', database_connections: 1 })
    await using world = await openTestWorld({ db, close })
    const ready = async () => (await world.request('GET', '/readyz', { key: null })).status
    const readsAlone = sql`set default_transaction_read_only = on`
    expect(await ready()).toBe(200)
    await readsAlone.execute(db)
    world.advance(10)
    expect(await ready()).toBe(503)
    const answer = await world.request('POST', '/v1/jobs', { body: backtest() })
    expect([answer.status, await ready()]).toEqual([201, 200])
    await readsAlone.execute(db)
    expect(await world.pass().catch((error: Error) => error.message)).toMatch(/read-only transaction/)
    expect(await world.pass()).toBe(1)
  })

  test('in a transaction is given up once, and not again for the rollback', async () => {
    const database_url = await createFleetDatabase(inject('postgres_url'))
    using line = await openLine(database_url)
    const { db, close } = await openDatabase({
      database_url: line.url,
      data_dir: '',
      database_connections: 1,
      database_timeout_ms: timeout_ms,
    })
    const cut = db.transaction().execute(async (tx) => {
      await sql`select 1`.execute(tx)
      line.silence()
      await sql`select 2`.execute(tx)
    })
    await expect(cut).rejects.toThrow('Query read timeout')
    expect((await sql`select 1 as one`.execute(db)).rows).toEqual([{ one: 1 }])
    await close()
  })

  test('a statement, a lock and an idle transaction have bounds of their own', async () => {
    const database_url = await createFleetDatabase(inject('postgres_url'))
    const { db, close } = await openDatabase({
      database_url,
      data_dir: '',
      database_timeout_ms: timeout_ms,
    })
    const { rows } = await sql<{ name: string; setting: string }>`
      select name, setting from pg_settings where name in
        ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') order by name`.execute(
      db,
    )
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, Number(setting)]))).toEqual({
      idle_in_transaction_session_timeout: timeout_ms,
      lock_timeout: timeout_ms / 2,
      statement_timeout: timeout_ms,
    })
    await expect(sql`select pg_sleep(5)`.execute(db)).rejects.toMatchObject({ code: '57014' })
    await close()
  })
})
