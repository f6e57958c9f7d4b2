// The folders of attempts on this machine. The runner's own files are described in its folder.py.

import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, processesByFolder, type ProcessId } from './processes.ts'

/** What is known of an attempt before its runner speaks; never a secret. */
export interface LaunchRecord {
  name: string
  attempt_id: string
  installation: string
  kind: string
  offer: string
  usd_per_hour: number
}

export interface ExitRecord {
  exit_code: number | null
  failure: string | null
}

/** What the folder of an attempt and its processes say together. */
export interface Seen {
  launched: boolean
  /** The process that we started, before and after it wrote its own mark. */
  spawned: ProcessId | null
  runner: ProcessId | null
  program: ProcessId | null
  exit: ExitRecord | null
  isRunnerAlive: boolean
  isSpawnedAlive: boolean
}

// Files of the runner are small; what is larger is not one of them.
const recordMax_bytes = 16 * 1024 * 1024
const sweepMax = 100

const attemptIdPattern = /^[A-Za-z0-9_]{1,100}$/

/** An attempt id that is safe as a folder's name, else null. */
export function folderName(attempt_id: string): string | null {
  return attemptIdPattern.test(attempt_id) ? attempt_id : null
}

/** Writes the address that runners of this folder read again at every try. Call it once the server listens. */
export async function writeBerthUrl(folder: string, url: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = berthUrlFile(folder)
  const before = await readFile(path, 'utf8').catch(() => null)
  if (before !== `${url}\n`) await writeAtomically(path, `${url}\n`)
}

export function berthUrlFile(folder: string): string {
  return join(folder, 'berth-url')
}

/** Whole or not at all, through a power cut too. */
export async function writeRecord(path: string, record: object): Promise<void> {
  await writeAtomically(path, JSON.stringify(record))
}

/** null: not there. */
export async function readRecord(path: string): Promise<Record<string, unknown> | null> {
  try {
    if ((await stat(path)).size > recordMax_bytes) return null
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || error instanceof SyntaxError) return null
    throw error
  }
}

/** Processes are looked at before the exit file: a runner writes it first and ends after that. */
export async function look(path: string): Promise<Seen> {
  const spawned = processId(await readRecord(join(path, 'spawned.json')))
  const runner = processId(await readRecord(join(path, 'pid.json')))
  const isRunnerAlive = await isAlive(runner)
  const isSpawnedAlive = await isAlive(spawned)
  const exit = await readRecord(join(path, 'exit.json'))
  return {
    launched: spawned !== null || runner !== null,
    spawned,
    runner,
    program: processId(await readRecord(join(path, 'program.json'))),
    exit: exit && { exit_code: asNumber(exit['exit_code']), failure: asText(exit['failure']) },
    isRunnerAlive,
    isSpawnedAlive,
  }
}

/**
 * Removes the folders of attempts that are over, at most 100 a call; `attempts` says which. A folder
 * with anything alive in it stays, whatever it says. Returns the removed ones.
 */
export async function sweepLocalFolders(folder: string, attempts: Iterable<string>): Promise<string[]> {
  const present = new Set(await readdir(folder).catch(() => []))
  const processes = await processesByFolder()
  const removed: string[] = []
  for (const attempt_id of attempts) {
    const name = folderName(attempt_id)
    if (name === null || !present.has(name)) continue
    const path = join(folder, name)
    const seen = await look(path)
    if (seen.isRunnerAlive || seen.isSpawnedAlive || processes.has(path)) continue
    await rm(path, { recursive: true, force: true })
    removed.push(attempt_id)
    if (removed.length === sweepMax) break
  }
  return removed
}

async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function processId(record: Record<string, unknown> | null): ProcessId | null {
  const pid = asNumber(record?.['pid'])
  const start_time = asText(record?.['start_time'])
  return pid === null || pid <= 1 || start_time === null ? null : { pid, start_time }
}

function asNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) ? value : null
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
