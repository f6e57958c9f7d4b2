// Starts the runner, which outlives the server; and reads what it said on its own output.

import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ProviderError } from '../errors.ts'
import type { LaunchRequest } from '../provider.ts'
import { berthUrlFile, writeRecord } from './folder.ts'
import { startTime } from './processes.ts'

const runnerFolder = fileURLToPath(new URL('../../containers/runner', import.meta.url))
const tail_bytes = 64 * 1024
// On one machine a restarted server is back in seconds, and asking again costs nothing.
const backoffMax_s = '1'

// What any program needs, where trainings are tracked, then what configures numerics and CUDA; no credential is named
// like these.
const names = new Set(['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'LD_LIBRARY_PATH', 'BERTH_MLFLOW_URI'])
const prefixes = ['LC_', 'NUMBA_', 'OMP_', 'CUDA_', 'NVIDIA_']

/** The part of the server's environment that may reach the work. */
export function allowed(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      (names.has(entry[0]) || prefixes.some((prefix) => entry[0].startsWith(prefix))),
  )
  return Object.fromEntries(kept)
}

/** Errors: ProviderError `rejected` (Python cannot be started), `capacity` (no process or memory left). */
export async function spawnRunner(
  options: { python: string; folder: string; env: Readonly<Record<string, string>> },
  start: {
    path: string
    env: Record<string, string>
    program: readonly string[]
    request: LaunchRequest
    token: string
  },
): Promise<void> {
  const log = await open(join(start.path, 'runner.log'), 'a', 0o600)
  try {
    const child = spawn(options.python, ['-s', '-S', '-P', '-m', 'berth_runner'], {
      cwd: start.path,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: runnerEnv(options, start),
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (error: NodeJS.ErrnoException) => reject(spawnFailure(error)))
    })
    child.unref()
    const pid = child.pid as number
    // null: it is over already, and what it left says how.
    const start_time = (await startTime(pid)) ?? 'over'
    await writeRecord(join(start.path, 'spawned.json'), { pid, start_time })
  } finally {
    await log.close()
  }
}

/** The end of the runner's own output, for when it never spoke. */
export async function readTail(path: string): Promise<string> {
  const file = await open(join(path, 'runner.log')).catch(() => null)
  if (file === null) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, tail_bytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.subarray(0, bytesRead).toString()
  } finally {
    await file.close()
  }
}

export async function lastLine(path: string): Promise<string> {
  const line = (await readTail(path)).trimEnd().split('\n').at(-1)
  return line?.slice(0, 500) || 'it said nothing'
}

function runnerEnv(
  options: { folder: string; env: Readonly<Record<string, string>> },
  start: {
    path: string
    env: Record<string, string>
    program: readonly string[]
    request: LaunchRequest
    token: string
  },
): Record<string, string> {
  const { request } = start
  const gpu = /^cuda:(\d+)$/.exec(request.offer.id)?.[1] ?? ''
  const pythonPath = [runnerFolder, options.env['PYTHONPATH']].filter((part) => part !== undefined)
  return {
    BERTH_RUNNER_BACKOFF_MAX_S: backoffMax_s,
    ...start.env,
    ...options.env,
    PYTHONPATH: pythonPath.join(delimiter),
    BERTH_URL: request.berth_url,
    BERTH_URL_FILE: berthUrlFile(options.folder),
    BERTH_ATTEMPT_ID: request.attempt_id,
    BERTH_TOKEN: start.token,
    BERTH_HOME: start.path,
    // Of all attempts: a dataset is fetched once.
    BERTH_INPUTS_DIR: join(options.folder, 'inputs'),
    BERTH_PROGRAM: JSON.stringify(start.program),
    BERTH_MEMORY_GIB: String(request.memory_gib),
    // nvidia-smi counts in the order of the bus; CUDA's own default order is another.
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    CUDA_VISIBLE_DEVICES: gpu,
  }
}

function spawnFailure(error: NodeJS.ErrnoException): ProviderError {
  const isFull = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(error.code ?? '')
  const detail = isFull
    ? `this machine has no room for another process (${error.code})`
    : `Python cannot be started (${error.code}): install Python 3.11 to 3.13`
  return new ProviderError(isFull ? 'capacity' : 'rejected', { provider: 'local', detail, cause: error })
}
