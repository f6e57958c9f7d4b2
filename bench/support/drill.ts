// What a drill has: a PostgreSQL as it is installed, clients that send again what was not answered, programs that write down what ran.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { realBacktest } from '../../test/support/desk.ts'
import type { RunningServer } from '../../test/support/server.ts'
import type { JobView } from '../../jobs/view.ts'

/** A client gives up on a server that does not answer, and asks again. */
const patience_ms = 10_000
const again_ms = 100
/** A bound against a hang. */
const rest_ms = 300_000

export interface Load {
  /** Job ids by number, as they were acknowledged; missing while not. */
  ids: ReadonlyMap<number, string>
  /** How long each submit took, from its first try to its acknowledgement. */
  submit_ms: readonly number[]
  /** Submits the numbers from..to, one every so often; resolves when all are acknowledged. */
  submit: (from: number, to: number, every_ms: number) => Promise<void>
  read: (id: string) => Promise<JobView | null>
  /** Reads until all of these have ended and their costs are final. */
  ended: (numbers: readonly number[]) => Promise<JobView[]>
}

/** `servers`: those that a client knows of now, the first that answers is taken. */
export function startLoad(servers: () => readonly RunningServer[], key: () => string): Load {
  const ids = new Map<number, string>()
  const submit_ms: number[] = []
  async function ask(path: string, init: RequestInit = {}): Promise<Response | null> {
    const headers = {
      authorization: `Bearer ${key()}`,
      'content-type': 'application/json',
      ...(init.headers as Record<string, string>),
    }
    for (const { url } of servers()) {
      try {
        return await fetch(`${url}${path}`, { ...init, headers, signal: AbortSignal.timeout(patience_ms) })
      } catch {
        // The next one.
      }
    }
    return null
  }
  async function submitOne(number: number): Promise<void> {
    const spec = realBacktest({ resources: { cpu: 1 } })
    Object.assign(spec.params, { parameters: { fast: number + 1, slow: 500 } })
    const init = {
      method: 'POST',
      body: JSON.stringify(spec),
      headers: { 'idempotency-key': `job ${number}` },
    }
    const began = performance.now()
    for (const until = began + rest_ms; performance.now() < until; await sleep(again_ms)) {
      const answer = await ask('/v1/jobs', init)
      if (!answer?.ok) continue
      ids.set(number, ((await answer.json()) as JobView).id)
      submit_ms.push(performance.now() - began)
      return
    }
    throw new Error(`job ${number} was not accepted`)
  }
  const read = async (id: string) => {
    const answer = await ask(`/v1/jobs/${id}`)
    return answer?.ok ? ((await answer.json()) as JobView) : null
  }
  return {
    ids,
    submit_ms,
    async submit(from, to, every_ms) {
      const sent: Promise<void>[] = []
      for (let number = from; number < to; number++) {
        sent.push(submitOne(number))
        await sleep(every_ms)
      }
      await Promise.all(sent)
    },
    read,
    async ended(numbers) {
      const jobs: JobView[] = []
      for (const number of numbers)
        for (const until = performance.now() + rest_ms; ; await sleep(again_ms)) {
          const job = await read(ids.get(number) ?? '')
          if (job && job.finished_at !== null && job.cost.final) {
            jobs.push(job)
            break
          }
          if (performance.now() > until)
            throw new Error(`job ${number} has not ended: ${JSON.stringify(job)}`)
        }
      return jobs
    },
  }
}

export const checkout = join(import.meta.dirname, '..', '..')

/** How often each number from 0 on is in a list that was written down. */
export function missedOf(seen: readonly number[], jobs: number): { missing: number; twice: number } {
  const counts = Array.from({ length: jobs }, (_, job) => seen.filter((each) => each === job).length)
  return { missing: counts.filter((n) => n === 0).length, twice: counts.filter((n) => n > 1).length }
}
