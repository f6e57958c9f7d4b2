// A cloud whose machines are runners in this process: each boots, works for a moment, and says so over HTTP as real ones do.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Handle, LaunchRequest, Observation, Provider } from '../../providers/provider.ts'
import type { Draw } from '../../test/simulation/draw.ts'
import { createSteadyCloud } from './steady-cloud.ts'

const boot_ms = 100
/** A job takes a launch, a stop, and its share of the looks: several times what is asked for, so that it is not this that is measured. */
const calls_per_s = 1_000
/** Work takes up to this. */
const work_ms = 1_500
/** A report without an answer is sent again; servers are killed under it. */
const again_ms = 200
const patience_ms = 10_000
/** A runner of an attempt that is over stops; a server that is away is waited for so long. */
const tries = 600

export interface SoakCloud {
  provider: Provider
  /** Of jobs by the seed of their search, which is their number: how often one was worked on to its end. */
  done: Map<number, number>
  /** Machines that were made. */
  made: () => number
  /** Machines that are there now. */
  alive: () => number
}

/** `dying`: the share of machines that go away in the middle of their work. `servers`: those that answer now. */
export function createSoakCloud(servers: () => readonly string[], draw: Draw, dying: number): SoakCloud {
  const machines = new Map<string, { request: LaunchRequest; exit_code: number | null }>()
  const done = new Map<number, number>()
  let made = 0
  const { provider } = createSteadyCloud()
  const nameOf = (handle: Handle) => String((handle as { machine: string }).machine)

  async function ask(path: string, token: string, body?: object): Promise<unknown> {
    for (let tried = 0; tried < tries; tried++) {
      const urls = servers()
      const url = urls[tried % Math.max(1, urls.length)]
      try {
        const answer = await fetch(`${url}${path}`, {
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          signal: AbortSignal.timeout(patience_ms),
          ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
        })
        if ([401, 409, 410].includes(answer.status)) return null
        if (answer.ok) return await answer.json()
      } catch {
        // Killed, or not there yet.
      }
      await sleep(again_ms)
    }
    return null
  }

  async function run(name: string, { attempt_id }: LaunchRequest, token: string): Promise<void> {
    const end = (exit_code: number) => {
      const machine = machines.get(name)
      if (machine) machine.exit_code = exit_code
    }
    await sleep(boot_ms)
    const at = `/v1/attempts/${attempt_id}`
    const report = (body: object) => ask(`${at}/report`, token, body)
    const spec = (await ask(`${at}/spec`, token)) as { params: { search: { seed: number } } } | null
    if (spec === null || (await report({ type: 'started', instance: name })) === null) return end(1)
    const log = { number: 1, at: new Date().toISOString(), stream: 'stdout', text: 'working\n'.repeat(10) }
    await ask(`${at}/logs`, token, log)
    await sleep(draw.share() * work_ms)
    if (draw.chance(dying)) return end(137)
    const number = spec.params.search.seed
    const finished = { type: 'finished', exit_code: 0, failure: null, result: { number } }
    if ((await report(finished)) === null) return end(1)
    done.set(number, (done.get(number) ?? 0) + 1)
    end(0)
  }

  return {
    done,
    made: () => made,
    alive: () => machines.size,
    provider: {
      ...provider,
      traits: { ...provider.traits, calls_per_s },
      launch(request, { token }) {
        const { name } = request
        if (!machines.has(name)) {
          made++
          machines.set(name, { request, exit_code: null })
          void run(name, request, token)
        }
        return Promise.resolve({ machine: name })
      },
      inspect: (refs) =>
        Promise.resolve(
          refs.map(({ handle, request }): Observation => {
            const machine = machines.get(handle ? nameOf(handle) : (request?.name ?? ''))
            if (!machine) return { state: 'gone', detail: null }
            const { exit_code } = machine
            return exit_code === null
              ? { state: 'running', detail: null }
              : { state: 'exited', exit_code, detail: null }
          }),
        ),
      stop(ref) {
        machines.delete(ref.handle ? nameOf(ref.handle) : (ref.request?.name ?? ''))
        return Promise.resolve()
      },
      async *list() {
        for (const [name, { request }] of machines)
          yield {
            name,
            attempt_id: request.attempt_id,
            handle: { machine: name },
            usd_per_hour: request.offer.usd_per_hour,
            since: null,
          }
      },
    },
  }
}
