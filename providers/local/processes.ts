// Processes by pid and start time: a pid alone may long since belong to somebody else.

import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A process as pid.json, spawned.json and program.json name it. */
export interface ProcessId {
  pid: number
  /** Linux: clock ticks since boot, field 22 of /proc/<pid>/stat (proc(5)). Else: what `ps -o lstart=` prints. */
  start_time: string
}

/** The variable that every process of an attempt inherits and that names its folder; set by the runner. */
const markVariable = 'BERTH_CHECKPOINT_DIR='
const psTimeout_ms = 5000
// A process may fork while it is killed; more rounds than it can win.
const killRounds = 50
const killRoundPause_ms = 20

const isLinux = process.platform === 'linux'

/** null: no such process, or only a zombie of it. */
export async function startTime(pid: number): Promise<string | null> {
  if (!isLinux) return (await ps(['-o', 'lstart=', '-p', String(pid)])).trim() || null
  const fields = await statFields(pid)
  return fields === null || fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
}

export async function isAlive(id: ProcessId | null): Promise<boolean> {
  return id !== null && (await startTime(id.pid)) === id.start_time
}

/** Live processes by the attempt folder that they inherited. Empty where the system does not tell. */
export async function processesByFolder(): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>()
  if (!isLinux) return found
  for (const name of await readdir('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    const mark = environment.split('\0').find((entry) => entry.startsWith(markVariable))
    if (mark === undefined || (await startTime(pid)) === null) continue
    const folder = join(Buffer.from(mark.slice(markVariable.length), 'latin1').toString(), '..')
    found.set(folder, [...(found.get(folder) ?? []), pid])
  }
  return found
}

/**
 * SIGKILL for the groups of these processes and for everything that inherited the folder, until nothing
 * is left. False: something still lives (uninterruptible, or another user's).
 */
export async function killAll(folder: string, leaders: readonly (ProcessId | null)[]): Promise<boolean> {
  for (let round = 0; round < killRounds; round++) {
    const left: number[] = []
    for (const leader of leaders) if (leader && (await isAlive(leader))) left.push(-leader.pid)
    left.push(...((await processesByFolder()).get(folder) ?? []))
    if (left.length === 0) return true
    for (const target of left) sendSignal(target, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, killRoundPause_ms))
  }
  return false
}

/** A negative pid is a group. A process that is gone already is what we want. */
export function sendSignal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Fields from the third on; the second, the name, may hold anything. */
async function statFields(pid: number): Promise<string[] | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  return text === '' ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function ps(args: string[]): Promise<string> {
  return new Promise((resolve) => {
    // The C locale, because the runner compares the same text.
    const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' }
    execFile('ps', args, { timeout: psTimeout_ms, env }, (_error, stdout) => resolve(stdout))
  })
}
