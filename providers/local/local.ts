// Runs attempts as processes of this machine and user. Each has a folder, named by its attempt id.
// Not a sandbox: the work can do whatever the user who runs Berth can do.

import { mkdir, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { ProviderError } from '../errors.ts'
import { offersOf, probeDevices, probeGpus, type Gpu } from '../machine.ts'
import type {
  Check,
  Device,
  Found,
  Handle,
  LaunchRequest,
  Observation,
  Offer,
  Provider,
  Ref,
} from '../provider.ts'
import { folderName, look, readRecord, writeBerthUrl, writeRecord, type LaunchRecord } from './folder.ts'
import { probeLock, probePython } from './probe.ts'
import { isAlive, killAll, processesByFolder } from './processes.ts'
import { allowed, lastLine, readTail, spawnRunner } from './spawn.ts'
import { stopAttempt } from './stop.ts'

export interface LocalProviderOptions {
  account: string
  /** Stable name of this machine; handles and offers carry it as their region. */
  host: string
  /** Where the attempts' folders are. */
  folder: string
  /** Python 3.11 to 3.13. */
  python: string
  /** argv prefix of a kind's program; null: this machine has none. */
  program: (kind: string) => readonly string[] | null
  /** The server's environment; only an allow-list of it reaches the runner. */
  inherited_env: Readonly<Record<string, string | undefined>>
  /** Set for the runner as they are (BERTH_SAMPLES_DIR, PYTHONPATH of the programs, BERTH_RUNNER_*). */
  env: Readonly<Record<string, string>>
  usd_per_hour: number
  slots_cpu: number
  /** Of each GPU. */
  slots_gpu: number
  /** Where the server listens now. */
  berth_url: () => string
  clock: { now(): Date }
  /** From SIGTERM to SIGKILL of everything; longer than the runner's own 10 s of grace for its program. */
  stop_bound_ms?: number
}

const traits = {
  runs_images: false,
  launch_token: true, // the runner's lock on its folder decides
  inspect_batch: 500,
  list_lag_ms: 2000, // between the spawn and the file that says so
  boot_s: 0.2, // bench/results/start-latency.json
  boot_bound_s: 60,
  min_billing_s: 0,
  dead_man_min_s: 0,
  calls_per_s: 1000,
  machines: 'here',
  billing: 'modelled',
} as const

const probeKept_ms = 60_000
/** Whoever asks again within this time gets the same answer. */
const devicesKept_ms = 2_000
const stopBound_ms = 15_000

export function createLocalProvider(given: LocalProviderOptions): Provider {
  const options = { ...given, folder: resolve(given.folder) }
  const env = allowed(options.inherited_env)
  const launching = new Map<string, Promise<Handle>>()
  const stopping = new Set<string>()
  let gpus: { at: number; found: Promise<Gpu[]> } | null = null
  let devices: { at: number; found: Promise<Device[]> } | null = null
  let python: Promise<string> | null = null

  const checkPython = async (): Promise<void> => {
    python ??= probePython(options.python, env)
    await python.catch((cause: unknown) => {
      python = null // it may be installed by the next try
      throw failure('rejected', (cause as Error).message, cause)
    })
  }

  return {
    name: 'local',
    account: options.account,
    traits,
    check: () => checks(options, env),

    async offers(): Promise<Offer[]> {
      await mkdir(options.folder, { recursive: true, mode: 0o700 })
      const now = options.clock.now().getTime()
      if (gpus === null || now - gpus.at >= probeKept_ms) gpus = { at: now, found: probeGpus(env) }
      return offersOf(await gpus.found, await machineOf(options))
    },

    devices(): Promise<Device[]> {
      const now = options.clock.now().getTime()
      if (devices === null || now - devices.at >= devicesKept_ms)
        devices = { at: now, found: probeDevices(env, options.host) }
      return devices.found
    },

    launch(request, secrets, signal): Promise<Handle> {
      if (signal.aborted)
        return Promise.reject(failure('unavailable', 'the launch was given up before it began'))
      const started = launching.get(request.attempt_id)
      if (started !== undefined) return started
      const launched = guarded('unknown_outcome', () =>
        launchOnce({ ...options, inherited: env, checkPython }, request, secrets.token),
      ).finally(() => launching.delete(request.attempt_id))
      launching.set(request.attempt_id, launched)
      return launched
    },

    inspect(refs): Promise<Observation[]> {
      let scan: Promise<Map<string, number[]>> | null = null
      const processes = (): Promise<Map<string, number[]>> => (scan ??= processesByFolder())
      return guarded('unavailable', () =>
        Promise.all(refs.map((ref) => observe(pathOf(options, ref), processes))),
      )
    },

    async stop(ref): Promise<void> {
      const path = pathOf(options, ref)
      if (path === null) throw failure('unavailable', 'not visible from this host')
      const bound_ms = options.stop_bound_ms ?? stopBound_ms
      await guarded('unknown_outcome', () => stopAttempt(path, { clock: options.clock, bound_ms, stopping }))
    },

    list: () => listAlive(options),

    async tail(ref): Promise<string> {
      const path = pathOf(options, ref)
      if (path === null) throw failure('unavailable', 'not visible from this host')
      return guarded('unavailable', () => readTail(path))
    },
  }
}

const gib = 1024 ** 3

async function machineOf(options: LocalProviderOptions) {
  const { account, host, usd_per_hour, slots_cpu, slots_gpu } = options
  const disk = await statfs(options.folder)
  return {
    provider: 'local',
    account,
    region: host,
    usd_per_hour,
    cpu: availableParallelism(),
    memory_gib: Math.round((totalmem() / gib) * 100) / 100,
    disk_gib: Math.floor((disk.bavail * disk.bsize) / gib),
    price: { source: 'BERTH_LOCAL_USD_PER_HOUR', at: null },
    slots_cpu,
    slots_gpu,
  }
}

/** null: the ref is of another machine. Offers carry the host as their region. */
function pathOf(options: LocalProviderOptions, ref: Ref): string | null {
  const { attempt_id, handle } = ref
  const host = handle === null ? ref.request?.offer.region : handle['host']
  const name = folderName(handle === null ? attempt_id : String(handle['folder']))
  return host === options.host && name !== null ? join(options.folder, name) : null
}

/** Every step may be repeated after a crash; the runner's lock decides if two were started after all. */
async function launchOnce(
  options: LocalProviderOptions & { inherited: Record<string, string>; checkPython: () => Promise<void> },
  request: LaunchRequest,
  token: string,
): Promise<Handle> {
  const program = programFor(options, request)
  const handle = { host: options.host, folder: request.attempt_id }
  const path = join(options.folder, request.attempt_id)
  const seen = await look(path)
  if (seen.isRunnerAlive || seen.isSpawnedAlive || seen.exit !== null) return handle
  await options.checkPython()
  await mkdir(path, { recursive: true, mode: 0o700 })
  await writeBerthUrl(options.folder, options.berth_url())
  await writeRecord(join(path, 'launch.json'), launchRecord(request))
  await spawnRunner(options, { path, env: options.inherited, program, request, token })
  return handle
}

/**
 * A dead runner's program is dead too, but what that had started may live on: its end is completed here,
 * because nothing else would, and an attempt is not over while anything of it runs.
 */
async function observe(
  path: string | null,
  processes: () => Promise<Map<string, number[]>>,
): Promise<Observation> {
  if (path === null) return { state: 'unseen', detail: 'not visible from this host' }
  const seen = await look(path)
  if (seen.isRunnerAlive) return { state: 'running', detail: null }
  if (seen.isSpawnedAlive) return { state: 'pending', detail: null }
  if (!seen.launched) return { state: 'gone', detail: null }
  const isLeft = seen.exit === null && ((await isAlive(seen.program)) || (await processes()).has(path))
  if (isLeft && !(await killAll(path, [seen.program])))
    return { state: 'running', detail: 'the runner is dead, something it started cannot be killed' }
  if (seen.exit !== null)
    return { state: 'exited', exit_code: seen.exit.exit_code, detail: seen.exit.failure }
  return { state: 'exited', exit_code: null, detail: `the runner died: ${await lastLine(path)}` }
}

async function* listAlive(options: LocalProviderOptions): AsyncIterable<Found> {
  const processes = await processesByFolder()
  for (const name of await readdir(options.folder).catch(() => [])) {
    const path = join(options.folder, name)
    if (folderName(name) === null) continue
    const seen = await look(path)
    const isProgramAlive = processes.has(path) || (await isAlive(seen.program))
    if (seen.isRunnerAlive || seen.isSpawnedAlive || isProgramAlive) yield await found(options, path, name)
  }
}

function programFor(options: LocalProviderOptions, request: LaunchRequest): readonly string[] {
  if (folderName(request.attempt_id) === null)
    throw failure('rejected', 'the attempt id cannot name a folder')
  if (request.image !== null) throw failure('rejected', 'this provider runs no images: use one that does')
  if (request.offer.region !== options.host) throw failure('rejected', 'the offer is of another machine')
  const program = options.program(request.kind)
  if (program === null) throw failure('rejected', `no program for kind ${request.kind} on this machine`)
  return program
}

function launchRecord(request: LaunchRequest): LaunchRecord {
  const { name, attempt_id, installation, kind, offer } = request
  return { name, attempt_id, installation, kind, offer: offer.id, usd_per_hour: offer.usd_per_hour }
}

async function found(options: LocalProviderOptions, path: string, name: string): Promise<Found> {
  const record = await readRecord(join(path, 'launch.json'))
  const since = await stat(join(path, 'launch.json')).catch(() => null)
  return {
    name: typeof record?.['name'] === 'string' ? record['name'] : name,
    attempt_id: name,
    handle: { host: options.host, folder: name },
    usd_per_hour: Number(record?.['usd_per_hour'] ?? options.usd_per_hour),
    since: since && since.mtime.toISOString(),
  }
}

async function checks(options: LocalProviderOptions, env: Record<string, string>): Promise<Check[]> {
  const python = await probePython(options.python, env).then(
    (version) => ({ name: 'python', ok: true, detail: `Python ${version}` }),
    (error: Error) => ({ name: 'python', ok: false, detail: error.message }),
  )
  const probe = join(options.folder, '.check')
  const folder = await mkdir(options.folder, { recursive: true, mode: 0o700 })
    .then(() => writeFile(probe, 'probe', { mode: 0o600 }))
    .then(
      () => ({ name: 'folder', ok: true, detail: 'the folder of attempts can be written' }),
      (error: NodeJS.ErrnoException) => ({
        name: 'folder',
        ok: false,
        detail: `the folder of attempts cannot be written (${error.code}): give this user the right to`,
      }),
    )
  const isLocking = python.ok && folder.ok && (await probeLock(options.python, env, probe))
  await rm(probe, { force: true }).catch(() => null)
  const lock = {
    name: 'flock',
    ok: isLocking,
    detail: isLocking
      ? 'file locks work on the folder of attempts'
      : 'file locks do not work there: use a folder on a local disk, not on a network share',
  }
  const gpus = await probeGpus(env)
  const gpu = { name: 'gpu', ok: true, detail: gpus.map((each) => each.model).join(', ') || 'none: CPU only' }
  return [python, folder, lock, gpu]
}

async function guarded<T>(code: 'unavailable' | 'unknown_outcome', work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ProviderError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
      throw failure('capacity', 'the disk is full', error)
    throw failure(code, `this machine answered ${(error as NodeJS.ErrnoException).code ?? 'an error'}`, error)
  }
}

function failure(code: ProviderError['code'], detail: string, cause?: unknown): ProviderError {
  return new ProviderError(code, { provider: 'local', detail, cause })
}
