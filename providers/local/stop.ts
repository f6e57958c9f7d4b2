// Stops an attempt on this machine: SIGTERM to the runner, then, after a bound, SIGKILL to everything.

import { join } from 'node:path'
import { look, readRecord, writeRecord, type Seen } from './folder.ts'
import { killAll, processesByFolder, sendSignal } from './processes.ts'

/**
 * Returns once the first signal is sent; a later inspect confirms. The bound is kept by a timer of this
 * process and, if the server restarts meanwhile, by the next call: the order is on disk with its time.
 */
export async function stopAttempt(
  path: string,
  options: { clock: { now(): Date }; bound_ms: number; stopping: Set<string> },
): Promise<void> {
  const { clock, bound_ms, stopping } = options
  const seen = await look(path)
  if (!seen.launched) return
  const waited_ms = isRunning(seen) ? await waitedSince(path, clock) : bound_ms
  if (waited_ms >= bound_ms) return killRest(path, clock)
  // The runner treats it as a notice: it stops its program with grace, keeps what there is and reports.
  if (seen.isRunnerAlive && seen.runner) sendSignal(seen.runner.pid, 'SIGTERM')
  if (seen.isSpawnedAlive && seen.spawned) sendSignal(seen.spawned.pid, 'SIGTERM')
  if (stopping.has(path)) return
  stopping.add(path)
  const kill = async (): Promise<void> => {
    // A failure shows in the next inspect, which still says running; stop is called again.
    await killRest(path, clock).catch(() => null)
    stopping.delete(path)
  }
  setTimeout(() => void kill(), bound_ms - waited_ms).unref()
}

/** Since the first order to stop, which is written now if this is it. */
async function waitedSince(path: string, clock: { now(): Date }): Promise<number> {
  const order = await readRecord(join(path, 'stop.json'))
  const waited_ms = clock.now().getTime() - Date.parse(String(order?.['at']))
  if (!Number.isNaN(waited_ms)) return Math.max(waited_ms, 0)
  await writeRecord(join(path, 'stop.json'), { at: clock.now().toISOString() })
  return 0
}

function isRunning(seen: Seen): boolean {
  return seen.isRunnerAlive || seen.isSpawnedAlive
}

/** Nothing is left afterwards, and the folder says that it is over. */
async function killRest(path: string, clock: { now(): Date }): Promise<void> {
  const seen = await look(path)
  const wasAlive = isRunning(seen) || (await processesByFolder()).has(path)
  const isClear = await killAll(path, [seen.runner, seen.spawned, seen.program])
  if (!isClear) throw new Error('something outlived SIGKILL')
  if ((await readRecord(join(path, 'exit.json'))) !== null) return
  await writeRecord(join(path, 'exit.json'), {
    exit_code: wasAlive ? 137 : null, // 128 + SIGKILL, as shells and Docker say it
    failure: null,
    error: null,
    ended_at_unix: clock.now().getTime() / 1000,
  })
}
