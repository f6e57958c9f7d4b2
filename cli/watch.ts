// Follows a job until it ends.
import { setTimeout as sleep } from 'node:timers/promises'
import { answered, type Client, createClient, type Job, longPatience_ms } from './client.ts'
import type { Connection } from './connection.ts'
import { CliError, type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { createLogLines } from './log-lines.ts'
import { openView, type View } from './progress.ts'
import { events } from './sse.ts'

/** How often a bar moves. */
const look_s = 1
/** Once a job has ended its log is complete; the stream needs a moment to say so. */
const logEnd_ms = 15_000
/** setTimeout counts in 32 bits: longer waits would end at once. */
export const maxTimeout_s = Math.floor((2 ** 31 - 1) / 1_000)

export interface Watched {
  id: string
  /** Whether its log is shown. */
  follow: boolean
  json: boolean
  timeout_s: number | null
}

/** Shows progress, and the log if asked, until the job has ended. @throws CliError, also for 124 and 130 */
export async function watchJob(io: Io, connection: Connection, watched: Watched): Promise<Job> {
  const { id, timeout_s } = watched
  const over = new AbortController()
  const timer = timeout_s === null ? null : setTimeout(() => over.abort(), timeout_s * 1_000)
  const signal = AbortSignal.any([io.interrupted, over.signal])
  const view = openView(io, watched)
  const on_away = (why: string) => void view.note(`${why} The job goes on; trying again ...`)
  const client = createClient(io, connection, { signal, patience_ms: longPatience_ms, on_away })
  const unread: unknown[] = []
  const log = watched.follow
    ? showLog(client, id, signal, view).catch((error: unknown) => void unread.push(error))
    : Promise.resolve()
  try {
    const job = await lookUntilEnd(client, id, signal, view)
    await Promise.race([log, sleep(logEnd_ms, undefined, { ref: false })])
    const [why] = unread
    if (why) await view.note(`The log was not read to its end: ${(why as Error).message}`)
    return job
  } catch (error) {
    if (!signal.aborted) throw error
    throw leftRunning(id, io.interrupted.aborted ? null : timeout_s)
  } finally {
    if (timer) clearTimeout(timer)
    over.abort()
    await log
    view.close()
  }
}

/** The log from its start, as it grows. */
async function showLog(client: Client, id: string, signal: AbortSignal, view: View): Promise<void> {
  const lines = createLogLines()
  for await (const { data } of logEvents(client, id, signal)) await view.log(lines.take(JSON.parse(data)))
  await view.log(lines.rest())
}

export function logEvents(client: Client, id: string, signal: AbortSignal) {
  const open = (last_id: string | null) =>
    client.v1.jobs[':id'].logs.$get(
      { param: { id }, query: {}, header: last_id === null ? {} : { 'last-event-id': last_id } },
      { headers: { Accept: 'text/event-stream' } },
    ) as Promise<Response>
  return events({ open, signal, patience_ms: longPatience_ms })
}

async function lookUntilEnd(client: Client, id: string, signal: AbortSignal, view: View): Promise<Job> {
  for (let wait_s = 0; ; wait_s = look_s) {
    const asked_at = performance.now()
    const job = await readJob(client, id, wait_s)
    await view.job(job)
    if (hasEnded(job)) return job
    // The server holds the request for that time; one that did not must not be asked in a circle.
    const early_ms = wait_s * 1_000 - (performance.now() - asked_at)
    if (early_ms > 0) await sleep(early_ms, undefined, { signal }).catch(() => undefined)
  }
}

export const readJob = (client: Client, id: string, wait_s = 0): Promise<Job> =>
  answered(client.v1.jobs[':id'].$get({ param: { id }, query: { wait_s: String(wait_s) } }))

/** By the state that a job ended in; null: it has not. */
const exitsByState = {
  queued: null,
  scheduled: null,
  running: null,
  cancelling: null,
  succeeded: exits.ok,
  failed: exits.failed,
  cancelled: exits.cancelled,
} as const satisfies Record<Job['state'], ExitCode | null>

export const hasEnded = ({ state }: Job) => exitsByState[state] !== null
export const exitOf = ({ state }: Job): ExitCode => exitsByState[state] ?? exits.ok

export function leftRunning(id: string, timeout_s: number | null): CliError {
  const hint =
    `"berth wait ${id} --follow" shows it again, "berth stop ${id}" ends it and keeps the best so far, ` +
    `"berth cancel ${id}" ends it and discards it.`
  if (timeout_s === null) {
    const message = `Interrupted. ${id} goes on without this command.`
    return new CliError(exits.interrupted, { code: 'interrupted', message, hint })
  }
  const message = `${id} has not ended within ${timeout_s} s and goes on without this command.`
  return new CliError(exits.timed_out, { code: 'timed_out', message, hint })
}
