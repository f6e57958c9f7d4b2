// Two servers behind one address, on one PostgreSQL: what a client is told is accepted stays so, whichever of them goes away.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { createPostgresDatabase, isPostgres } from '../support/database.ts'
import { freePort, type RunningServer, startServer } from '../support/server.ts'
import { openSpreader } from '../support/spreader.ts'

const jobs = 120
const clients = 6
/** A bound against a hang. */
const most_tries = 200

const job = {
  kind: 'custom',
  params: { image: `registry.example.com/work@sha256:${'a'.repeat(64)}`, command: ['true'] },
}

test.runIf(isPostgres)(
  'one is killed and the other told to stop while jobs come: each that was accepted is there, once',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-one-address-'))
    const env = {
      BERTH_DATABASE_URL: await createPostgresDatabase(),
      BERTH_SECRET_KEY_FILE: join(folder, 'secret.key'),
      BERTH_LOG_LEVEL: 'error',
    }
    const running: RunningServer[] = []
    let key = ''
    const start = async (name: string) => {
      const data_dir = join(folder, name)
      // On one database the first server alone writes a key.
      if (key !== '') {
        mkdirSync(data_dir)
        writeFileSync(join(data_dir, 'admin.key'), key, { mode: 0o600 })
      }
      const server = await startServer(data_dir, await freePort(), env)
      key = server.key
      running.push(server)
      return server
    }
    const spreader = await openSpreader()
    try {
      const [first, second] = [await start('first'), await start('second')]
      spreader.servers([first.url, second.url])
      const accepted: string[] = []
      const ask = (path: string, init: RequestInit = {}) =>
        fetch(`${spreader.url}${path}`, {
          ...init,
          headers: {
            authorization: `Bearer ${key}`,
            'content-type': 'application/json',
            ...(init.headers as Record<string, string>),
          },
        })
      /** As clients do: the same again, under the same key, until it is answered. */
      const submit = async (name: string): Promise<string> => {
        for (let tried = 0; tried < most_tries; tried++) {
          const answer = await ask('/v1/jobs', {
            method: 'POST',
            body: JSON.stringify({ ...job, name }),
            headers: { 'idempotency-key': name },
          }).catch(() => null)
          if (answer?.ok) return ((await answer.json()) as JobView).id
          if (answer && answer.status !== 503) throw new Error(`a submit answered ${answer.status}`)
          await new Promise((done) => setTimeout(done, 20))
        }
        throw new Error('nobody answers')
      }
      let next = 0
      // The last jobs are for the third, which may be slow to come.
      const come = Promise.withResolvers<void>()
      const client = async () => {
        for (let number = next++; number < jobs; number = next++) {
          if (number > (jobs * 3) / 4) await come.promise
          accepted[number] = await submit(`job ${number}`)
          if (number === Math.floor(jobs / 4)) await first.kill()
          if (number === Math.floor(jobs / 2)) {
            const third = await start('third')
            spreader.servers([second.url, third.url])
            come.resolve()
            await second.stop()
          }
        }
      }
      await Promise.all(Array.from({ length: clients }, client))

      expect(new Set(accepted).size).toBe(jobs)
      const { items } = (await (await ask('/v1/jobs?limit=200')).json()) as { items: JobView[] }
      expect(items.map(({ id }) => id).toSorted()).toEqual(accepted.toSorted())
      // All three have taken some.
      expect(spreader.taken.size).toBe(3)
    } finally {
      spreader.close()
      for (const server of running) await server.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
