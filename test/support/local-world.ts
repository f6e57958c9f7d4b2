// A folder, a scripted Berth and local providers that run real programs on this machine.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { createLocalProvider, type LocalProviderOptions } from '../../providers/local/local.ts'
import type { Found, LaunchRequest, Observation, Provider, Ref } from '../../providers/provider.ts'
import { patience_ms } from './patience.ts'
import { createRunnerServer, type RunnerServer } from './runner-server.ts'

export const token = 'the-attempts-own-secret'
export const python = process.env['BERTH_TEST_PYTHON'] ?? 'python3'
export const signal = new AbortController().signal
/** Two attempts. */
export const a = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'
export const b = 'att_01jd3m4k5nep7r8r9s0t1v2w3y'

export interface LocalWorld {
  folder: string
  /** Of the attempts. */
  attempts: string
  berth: RunnerServer
  /** Time as the provider sees it. */
  now_ms: number
  /** The program of the next launch, in Python; OUT and result() are there. */
  work(source: string): Promise<void>
  provider(options?: Partial<LocalProviderOptions>): Provider
  request(attempt_id: string): LaunchRequest
  refOf(attempt_id: string): Ref
  inspect(provider: Provider, attempt_id: string, handle?: Ref['handle']): Promise<Observation>
  /** Until the program of the attempt has printed `up`. */
  up(attempt_id: string): Promise<void>
  /** Its last report, but for a heartbeat that was under way. */
  finished(attempt_id: string): Record<string, unknown> | undefined
  /** Of a file in the folder of attempt `a`. */
  pid(name: string): Promise<number>
  /** Stops what runs; fails when something cannot be stopped. */
  close(): Promise<void>
}

export async function openLocalWorld(): Promise<LocalWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-local-'))
  const berth = createRunnerServer()
  await berth.start()
  const source = join(folder, 'program.py')
  const world: LocalWorld = {
    folder,
    attempts: join(folder, 'attempts'),
    berth,
    now_ms: Date.parse('2026-01-01T00:00:00Z'),
    work: (program) => writeFile(source, [...prelude, program, ''].join('\n')),
    provider: (options = {}) =>
      createLocalProvider({
        account: 'this-machine',
        host: 'here',
        folder: world.attempts,
        python,
        program: (kind) => (kind === 'backtest' ? [python, '-S', source] : null),
        inherited_env: process.env,
        usd_per_hour: 0.01,
        slots_cpu: 2,
        slots_gpu: 1,
        berth_url: berth.url,
        clock: { now: () => new Date(world.now_ms) },
        ...options,
        env: {
          BERTH_RUNNER_HEARTBEAT_S: '0.1',
          BERTH_RUNNER_BACKOFF_MAX_S: '0.2',
          // A program that obeys must not be late because the machine stands still.
          BERTH_RUNNER_PREEMPT_GRACE_S: String(patience_ms / 1_000),
          ...options.env,
        },
      }),
    request: (attempt_id) => ({ ...requestOf(attempt_id), berth_url: berth.url() }),
    refOf: (attempt_id) => {
      return { attempt_id, handle: { host: 'here', folder: attempt_id }, request: world.request(attempt_id) }
    },
    async inspect(provider, attempt_id, handle = { host: 'here', folder: attempt_id }) {
      const [observation] = await provider.inspect(
        [{ attempt_id, handle, request: world.request(attempt_id) }],
        signal,
      )
      return observation as Observation
    },
    up: (attempt_id) => until(() => berth.said(attempt_id).log['stdout']?.includes('up\n')),
    finished: (attempt_id) => berth.said(attempt_id).reports.findLast(({ type }) => type === 'finished'),
    async pid(name) {
      const value = JSON.parse(await readFile(join(world.attempts, a, name), 'utf8')) as
        | number
        | { pid: number }
      return typeof value === 'number' ? value : value.pid
    },
    async close() {
      const provider = world.provider()
      // Of runners that were started at once the last may start after the others were stopped, and says how it ended.
      await until(async () => {
        const alive = await found(provider)
        for (const each of alive) await provider.stop(world.refOf(each.attempt_id as string), signal)
        world.now_ms += 3_600_000 // past the bound of the grace
        return alive.length === 0
      })
      await berth.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  await world.work(`result()`)
  return world
}

const prelude = [
  'import json, os, signal, sys, time',
  'OUT = sys.argv[2]',
  'def result(**fields): open(OUT + "/result.json", "w").write(json.dumps(fields))',
]

function requestOf(attempt_id: string): LaunchRequest {
  return {
    attempt_id,
    name: `berth-abcdef-${attempt_id.slice(4)}`,
    installation: 'abcdef',
    kind: 'backtest',
    offer: {
      id: 'cpu',
      provider: 'local',
      account: 'this-machine',
      region: 'here',
      spot: false,
      usd_per_hour: 0.01,
      gpu: null,
      cpu: 2,
      memory_gib: 8,
      disk_gib: 10,
      available: null,
      slots: 2,
    },
    image: null,
    device: 'cpu',
    cpu: 1,
    memory_gib: 1,
    disk_gib: 1,
    deadline_at: '2026-01-01T02:00:00Z',
    berth_url: '',
  }
}

export async function found(provider: Provider): Promise<Found[]> {
  const all: Found[] = []
  for await (const each of provider.list(signal)) all.push(each)
  return all
}

export async function until(condition: () => unknown): Promise<void> {
  const began = performance.now()
  while (!(await condition())) {
    expect(performance.now() - began, 'it did not come to that').toBeLessThan(patience_ms)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
