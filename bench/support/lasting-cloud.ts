// A cloud whose machines are runners in this process that work until they are told that it is enough, and speak as often as they are
// asked to.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LaunchRequest, Observation, Provider } from '../../providers/provider.ts'
import { createSteadyCloud } from './steady-cloud.ts'

/** A report without an answer is sent again; servers are killed under it. */
const again_ms = 500
const patience_ms = 10_000

export interface LastingCloud {
  provider: Provider
  /** Runners that work now. */
  working: () => number
  /** Reports that were answered, and those that had to be sent again. */
  reports: () => { answered: number; again: number }
  /** Lets all of them finish. */
  enough: () => void
}

/** `url`: where runners reach Berth. */
export function createLastingCloud(url: () => string): LastingCloud {
  const steady = createSteadyCloud()
  const machines = new Map<string, 'working' | 'done'>()
  const over = new AbortController()
  const counts = { answered: 0, again: 0 }

  async function say(
    attempt_id: string,
    token: string,
    body: object,
  ): Promise<{ next_heartbeat_ms: number }> {
    for (;;) {
      const answer = await fetch(`${url()}/v1/attempts/${attempt_id}/report`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(patience_ms),
      })
        .then(async (got) => (got.ok ? ((await got.json()) as { next_heartbeat_ms: number }) : null))
        .catch(() => null)
      if (answer) {
        counts.answered++
        return answer
      }
      counts.again++
      await sleep(again_ms)
    }
  }

  async function run(name: string, { attempt_id }: LaunchRequest, token: string): Promise<void> {
    machines.set(name, 'working')
    let told = await say(attempt_id, token, { type: 'started', instance: name })
    while (!over.signal.aborted) {
      await sleep(told.next_heartbeat_ms, undefined, { signal: over.signal }).catch(() => undefined)
      told = await say(attempt_id, token, { type: 'heartbeat', progress: 0.5, phase: 'working' })
    }
    await say(attempt_id, token, { type: 'finished', exit_code: 0, failure: null, result: {} })
    machines.set(name, 'done')
  }

  return {
    working: () => [...machines.values()].filter((state) => state === 'working').length,
    reports: () => ({ ...counts }),
    enough: () => over.abort(),
    provider: {
      ...steady.provider,
      launch(request, { token }) {
        const { name } = request
        if (!machines.has(name)) void run(name, request, token)
        return Promise.resolve({ machine: name })
      },
      inspect: (refs) =>
        Promise.resolve(
          refs.map(({ request }): Observation => {
            const state = machines.get(request?.name ?? '')
            if (state === undefined) return { state: 'gone', detail: null }
            return state === 'done'
              ? { state: 'exited', exit_code: 0, detail: null }
              : { state: 'running', detail: null }
          }),
        ),
    },
  }
}
