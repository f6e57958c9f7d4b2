// Real server processes on one real PostgreSQL, with clouds, runners and clients that live in the test's process:
// what was launched, worked on and paid for is counted outside of the database and outlives every server.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Database } from '../../jobs/store/schema.ts'
import { ProviderError } from '../../providers/errors.ts'
import type { Provider } from '../../providers/provider.ts'
import { openDatabase } from '../../infra/db.ts'
import { type CloudAccount, createModelCloud, type Machine, type ModelCloud } from '../fakes/model-cloud.ts'
import { createDraw, type Draw } from '../simulation/draw.ts'
import type { Send } from '../simulation/http.ts'
import { calmRunners, type Heard, type Runner, type RunnerFaults, startRunner } from '../simulation/runner.ts'
import type { Scheduler } from '../simulation/scheduler.ts'
import { serveClouds } from './cloud-wire.ts'
import { startReplica } from './replica.ts'
import type { RunningServer } from './server.ts'
import { pace, pacedScheduler } from './paced.ts'

/** A request without an answer for this long is given up by its client. */
const patience_ms = 60_000
/** A server that never starts is broken, whatever strikes it. */
const maxStarts = 10

export interface Fleet {
  database_url: string
  /** For checks, beside the servers. */
  db: Database
  scheduler: Scheduler
  draw: Draw
  clouds: ModelCloud[]
  /** What each runner got an answer for. */
  heard: Map<string, Heard>
  /** What went wrong that must not, as it happens. */
  violations: string[]
  key: string
  /** Sends to some living server; null: no answer came, whatever happened. */
  send: Send
  /** Shares of lost requests and of lost answers, and what runners do wrong; changed while it runs. */
  faults: { loss: number; runners: RunnerFaults }
  /** kill -9 of one server; another takes its place at once. */
  kill: (index: number) => Promise<void>
  /** Waits for something to become true; throws what `unmet` says after `bound_ms`. */
  until: (
    holds: () => boolean | Promise<boolean>,
    bound_ms: number,
    unmet: () => string | Promise<string>,
  ) => Promise<void>
  [Symbol.asyncDispose]: () => Promise<void>
}

export interface FleetOptions {
  /** A PostgreSQL server with the database `berth_template`. */
  server_url: string
  replicas: number
  accounts: CloudAccount[]
  seed: string
}

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const draw = createDraw(options.seed)
  const scheduler = pacedScheduler(() => undefined)
  const database_url = await createFleetDatabase(options.server_url)
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  const folder = mkdtempSync(join(tmpdir(), 'berth-fleet-'))
  const violations: string[] = []
  const heard = new Map<string, Heard>()
  const faults: Fleet['faults'] = { loss: 0, runners: calmRunners }
  const servers: RunningServer[] = []
  const send = lossyLine(servers, faults, draw.fork('line'))
  const runners = {
    scheduler,
    draw: draw.fork('runners'),
    send,
    faults: () => faults.runners,
    heard,
    // Late reports are late by the clock alone: the servers' rows are not looked at.
    missed_since_ms: () => scheduler.now_ms(),
    finishing: () => undefined,
    violated: (message: string) => void violations.push(message),
  }
  const clouds = options.accounts.map((account) =>
    openCloud(account, draw.fork(account.name), violations, (cloud, machine) =>
      startRunner(runners, cloud, machine),
    ),
  )
  const served = await serveClouds(clouds.map(({ provider }) => showsStopped(provider)))
  const start = () => startReplica({ database_url, data_dir: folder, clouds_url: served.url })
  // The first one makes the keys that all share.
  servers.push(await start())
  servers.push(...(await Promise.all(Array.from({ length: options.replicas - 1 }, start))))
  const starting = new Set<Promise<unknown>>()
  return {
    database_url,
    db,
    scheduler,
    draw,
    clouds,
    heard,
    violations,
    key: servers[0]?.key ?? '',
    send,
    faults,
    async kill(index) {
      const [server] = servers.splice(index % servers.length, 1)
      await server?.kill()
      const started = restarted(start).then((next) => servers.push(next))
      starting.add(started)
      await started
    },
    until,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(starting)
      await Promise.all(servers.map((server) => server.kill()))
      await served.close()
      await close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** As a supervisor does: a start whose connections are cut ends, and is tried again. */
async function restarted(start: () => Promise<RunningServer>): Promise<RunningServer> {
  for (let tries = 1; ; tries++) {
    try {
      return await start()
    } catch (error) {
      if (tries === maxStarts) throw error
    }
  }
}

/** A database of its own on that server. */
export async function createFleetDatabase(server_url: string): Promise<string> {
  const name = `fleet_${process.pid}_${process.hrtime.bigint()}`
  const admin = new pg.Client({ connectionString: `${server_url}/postgres` })
  await admin.connect()
  await admin.query(`create database ${name} template berth_template`)
  await admin.end()
  return `${server_url}/${name}`
}

function lossyLine(servers: readonly RunningServer[], faults: Fleet['faults'], draw: Draw): Send {
  return async (owner, { method, path, key, body, headers = {} }) => {
    const server = servers.length > 0 ? draw.pick(servers) : null
    if (!server || owner.dead || draw.chance(faults.loss)) return null
    const init: RequestInit = {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      signal: AbortSignal.timeout(patience_ms),
    }
    if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
    try {
      const response = await fetch(server.url + path, init)
      const text = await response.text()
      if (draw.chance(faults.loss)) return null
      const isJson = (response.headers.get('content-type') ?? '').includes('json')
      return {
        status: response.status,
        body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text },
      }
    } catch {
      return null
    }
  }
}

function openCloud(
  account: CloudAccount,
  draw: Draw,
  violations: string[],
  boot: (cloud: ModelCloud, machine: Machine) => Runner,
): ModelCloud {
  const runners = new Map<Machine, Runner>()
  const asked = new Map<string, string>()
  const cloud: ModelCloud = createModelCloud(
    {
      // The bill is in real time, as the servers' clocks are; so is the dead-man switch, which follows a deadline.
      now_ms: () => Date.now(),
      sleep: (ms, label) =>
        new Promise((resolve) => {
          setTimeout(resolve, label.includes('dead-man') ? ms : ms / pace).unref()
        }),
      chance: draw.chance,
      between: draw.between,
      trace: () => undefined,
      ProviderError,
    },
    account,
    {
      called(request, token) {
        const text = JSON.stringify([request, token])
        const before = asked.get(request.attempt_id)
        if (before !== undefined && before !== text)
          violations.push(`the launch of ${request.attempt_id} was repeated with other words`)
        asked.set(request.attempt_id, text)
      },
      created: () => undefined,
      booted: (machine) => void runners.set(machine, boot(cloud, machine)),
      noticed: (machine) => runners.get(machine)?.notice(),
      stopping: () => undefined,
      ended(machine) {
        // A report may come after its machine has gone, but not after it was taken away.
        const runner = runners.get(machine)
        if (runner && machine.why !== 'exited') runner.owner.dead = true
      },
    },
    () => Buffer.from(draw.bytes(4)).toString('hex'),
  )
  return cloud
}

/** A vendor that shows for a while what it has stopped, as container services do: else a minute must pass. */
function showsStopped(provider: Provider): Provider {
  return {
    ...provider,
    inspect: async (refs, signal) =>
      (await provider.inspect(refs, signal)).map((seen) =>
        seen.state === 'gone' && seen.detail === 'stopped'
          ? { state: 'exited', exit_code: null, detail: 'stopped' }
          : seen,
      ),
  }
}

async function until(
  holds: () => boolean | Promise<boolean>,
  bound_ms: number,
  unmet: () => string | Promise<string>,
): Promise<void> {
  for (const end_ms = performance.now() + bound_ms; !(await holds());) {
    if (performance.now() > end_ms) throw new Error(await unmet())
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
