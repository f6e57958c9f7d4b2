import { getEventListeners, once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, inject, test } from 'vitest'
import { topics } from '../../jobs/deps.ts'
import { nudgeByPostgres } from '../../infra/nudge.ts'
import { createWaker } from '../../infra/waker.ts'
import { isPostgres } from '../support/database.ts'

/** A bound against a hang; a nudge that is lost would be found by nobody before it. */
const bound_ms = 60_000

describe('waking within a process', () => {
  test('a wake that nobody waited for is kept once; job topics are not kept', async () => {
    const waker = createWaker()
    waker.wake(topics.pass)
    waker.wake(topics.pass)
    await waker.wait(topics.pass, bound_ms)
    let woken = false
    const second = waker.wait(topics.pass, bound_ms).then(() => (woken = true))
    waker.wake(topics.job('job_x'))
    await Promise.resolve()
    expect(woken).toBe(false)
    waker.wake(topics.pass)
    await second
  })

  test('all waiters of a topic wake, and an abort ends a wait', async () => {
    const waker = createWaker()
    const gone = new AbortController()
    const waits = [
      waker.wait('job:a', bound_ms),
      waker.wait('job:a', bound_ms),
      waker.wait('job:b', bound_ms, gone.signal),
    ]
    waker.wake('job:a')
    gone.abort()
    await Promise.all(waits)
  })

  test('a wait that is over leaves nothing at the signal that could have ended it', async () => {
    const waker = createWaker()
    const { signal } = new AbortController()
    const wait = waker.wait(topics.pass, bound_ms, signal)
    waker.wake(topics.pass)
    await wait
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('a database that takes connections and says nothing', () => {
  /** `unheard`: resolves when it was told that nudges are not heard. */
  async function openSilent(timeout_ms: number) {
    const server = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { promise: unheard, resolve } = Promise.withResolvers<void>()
    const url = `postgres://berth@127.0.0.1:${port}/berth`
    const nudges = nudgeByPostgres(url, timeout_ms, createWaker(), () => resolve())
    const connected = once(server, 'connection')
    return { nudges, connected, unheard, [Symbol.dispose]: () => void server.close() }
  }

  test('does not hold up a server that stops', async () => {
    using silent = await openSilent(bound_ms)
    await silent.connected
    await silent.nudges.close()
  })

  test('is given up after the time in which every answer must come', async () => {
    using silent = await openSilent(20)
    await silent.unheard
    await silent.nudges.close()
  })
})

describe.skipIf(!isPostgres)('waking across processes (needs PostgreSQL)', () => {
  test('a nudge of one server wakes the pass of another, also after its connection was cut', async () => {
    const url = `${inject('postgres_url')}/postgres`
    const log = () => undefined
    const [here, there] = [createWaker(), createWaker()]
    const a = nudgeByPostgres(url, bound_ms, here, log)
    const b = nudgeByPostgres(url, bound_ms, there, log)
    const heard = async () => {
      // Repeated because neither may be connected yet.
      for (let tries = 0; tries < 200; tries++) {
        a.waker.wake(topics.pass)
        let woken = false
        await Promise.race([
          there.wait(topics.pass, 100).then(() => (woken = true)),
          new Promise((done) => setTimeout(done, 90)),
        ])
        if (woken) return true
      }
      return false
    }
    expect(await heard()).toBe(true)
    const { default: pg } = await import('pg')
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    await admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'berth nudges'",
    )
    await admin.end()
    expect(await heard()).toBe(true)
    await Promise.all([a.close(), b.close()])
  })

  test('a server is not woken a second time by its own nudge', async () => {
    const url = `${inject('postgres_url')}/postgres`
    const woken: Record<'here' | 'there', string[]> = { here: [], there: [] }
    const waker = (at: keyof typeof woken) => ({
      ...createWaker(),
      wake: (topic: string) => void woken[at].push(topic),
    })
    const a = nudgeByPostgres(url, bound_ms, waker('here'), () => undefined)
    const b = nudgeByPostgres(url, bound_ms, waker('there'), () => undefined)
    // Repeated because neither may be connected yet.
    const until = async (at: keyof typeof woken, topic: string, nudge: () => void) => {
      for (; !woken[at].includes(topic); await setImmediate()) nudge()
    }
    let nudged = 0
    await until('there', topics.pass, () => {
      a.waker.wake(topics.pass)
      nudged++
    })
    // What `a` would hear of its own comes before this.
    await until('here', topics.webhooks, () => b.waker.wake(topics.webhooks))
    expect(woken.here.filter((topic) => topic === topics.pass)).toHaveLength(nudged)
    await Promise.all([a.close(), b.close()])
  })
})
