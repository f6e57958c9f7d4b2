// One process per data folder. Node has no flock, so the lock is a numbered file:
//   - the holder is the highest number; a number is taken by link(), which only one process can win
//   - after taking one, a process looks again and gives way if a higher one is there
//   - the highest file is never removed, a released one is marked; so numbers only grow, and nobody can
//     remove a lock that was taken while they were deciding that the one before it was stale
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

const prefix = 'berth.lock.'
const temporaryPrefix = 'berth.tmp.'
/** In each round but the last another process took the lock and ended; that many at once are not started. */
const maxRounds = 100

interface Holder {
  pid: number
  /** Tells the process from a later one with the same pid. */
  start: string
  host: string
  since: string
  released: boolean
}

export interface FolderLock {
  /** Idempotent. */
  release(): void
}

export class FolderInUse extends Error {
  override readonly name = 'FolderInUse'
}

/**
 * Takes the folder (made if missing) for this process until release(). The lock of a process that was
 * killed is recognised by pid and start time and taken over.
 * @throws FolderInUse saying by whom and what to do. A lock from another host is never judged stale: its
 * processes cannot be seen from here.
 */
export function lockFolder(folder: string): FolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const start = processStart(process.pid)
  if (start === null) throw new Error('this process does not find itself in /proc or `ps`: install procps')
  const since = new Date().toISOString()
  const me: Holder = { pid: process.pid, start, host: hostname(), since, released: false }
  for (let round = 0; round < maxRounds; round++) {
    const last = highest(folder)
    refuseIfHeld(folder, last)
    if (!create(folder, last + 1, me)) continue
    if (highest(folder) === last + 1) return held(folder, last + 1, me)
    rmSync(pathOf(folder, last + 1), { force: true })
  }
  throw new FolderInUse(`${folder} is being opened by many processes at once: start one of them`)
}

/**
 * When a process started, as text that is comparable only with itself; null when it is not running (a
 * zombie is not). On Linux from proc_pid_stat(5), elsewhere from ps(1).
 */
export function processStart(pid: number, platform = process.platform): string | null {
  if (platform !== 'linux') return startFromPs(pid)
  const stat = readIfThere(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The name in parentheses may itself hold spaces and parentheses. After it: state (3), ..., starttime (22).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return null
  // Ticks count from the boot, so that they mean something only together with it.
  return `${readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? ''}:${fields[19]}`
}

function startFromPs(pid: number): string | null {
  try {
    const options = { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' }, stdio: 'pipe' } as const
    const [state = 'Z', ...start] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], options)
      .trim()
      .split(/\s+/)
    return state.startsWith('Z') ? null : start.join(' ')
  } catch (error) {
    // ps answers 1 for a process that is not there; a missing ps must not look like one.
    if ((error as { status?: number }).status === 1) return null
    throw error
  }
}

function refuseIfHeld(folder: string, number: number): void {
  const text = number === 0 ? null : readIfThere(pathOf(folder, number))
  const holder = text === null ? null : parseHolder(text)
  if (holder === null || holder.released) return
  if (holder.host !== hostname()) {
    throw new FolderInUse(
      `${folder} was last used by process ${holder.pid} on the host ${holder.host} since ${holder.since}, ` +
        `which cannot be seen from here: set BERTH_DATA_DIR, or when that host is gone remove ` +
        pathOf(folder, number),
    )
  }
  if (processStart(holder.pid) === holder.start) {
    throw new FolderInUse(
      `${folder} is in use by process ${holder.pid} since ${holder.since}: stop it or set BERTH_DATA_DIR`,
    )
  }
}

function held(folder: string, number: number, me: Holder): FolderLock {
  for (const other of numbers(folder)) {
    if (other < number) rmSync(pathOf(folder, other), { force: true })
  }
  for (const name of readdirSync(folder)) {
    if (name.startsWith(temporaryPrefix)) rmSync(join(folder, name), { force: true })
  }
  let released = false
  return {
    release() {
      if (released) return
      released = true
      const temporary = writeTemporary(folder, { ...me, released: true })
      renameSync(temporary, pathOf(folder, number))
    },
  }
}

/** @returns false when another process has taken the number. */
function create(folder: string, number: number, me: Holder): boolean {
  const temporary = writeTemporary(folder, me)
  try {
    linkSync(temporary, pathOf(folder, number))
    return true
  } catch (error) {
    // ENOENT: the one that took the lock meanwhile has swept our temporary file.
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Written and synced first, so that a lock file is never seen half-written, after a power cut either. */
function writeTemporary(folder: string, holder: Holder): string {
  const path = join(folder, `${temporaryPrefix}${randomBytes(8).toString('hex')}`)
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, `${JSON.stringify(holder)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  return path
}

function highest(folder: string): number {
  return Math.max(0, ...numbers(folder))
}

function numbers(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && /^\d{1,15}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
}

function pathOf(folder: string, number: number): string {
  return join(folder, `${prefix}${number}`)
}

/** null: not written by this program, which leaves only whole files; so nobody holds it. */
function parseHolder(text: string): Holder | null {
  try {
    const holder = JSON.parse(text) as Holder
    return Number.isInteger(holder.pid) && typeof holder.start === 'string' ? holder : null
  } catch {
    return null
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // ESRCH: the process ended between opening and reading its file.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}
