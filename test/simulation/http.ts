// The line between clients, runners and the processes that serve them: slow, and it loses requests and answers.
import type { Draw } from './draw.ts'
import type { Replica } from './replica.ts'
import type { Owner, Scheduler } from './scheduler.ts'

export interface Answer {
  status: number
  body: Record<string, unknown>
}
export type Send = (
  owner: Owner,
  request: { method: string; path: string; key: string; body?: unknown; headers?: Record<string, string> },
) => Promise<Answer | null>

/** A client gives up on an answer after this. */
const patience_ms = 15_000

/** Sends one request to some living process; null: no answer came, whatever happened. */
export function createLine(world: {
  scheduler: Scheduler
  draw: Draw
  replicas: () => readonly Replica[]
  /** Share of requests and of answers that are lost. */
  loss: () => number
  violated: (message: string) => void
}): Send {
  const { scheduler, draw } = world
  return async (owner, { method, path, key, body, headers = {} }) => {
    await scheduler.sleep(
      owner,
      draw.chance(0.02) ? draw.between(500, 5_000) : draw.between(2, 60),
      `sends ${method} ${path}`,
    )
    const alive = world.replicas().filter((replica) => !replica.owner.dead)
    if (alive.length === 0 || draw.chance(world.loss())) return null
    const replica = draw.pick(alive)
    const init: RequestInit = {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    }
    if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
    const patience = { over: false }
    const given_up = scheduler.sleep(owner, patience_ms, `gives up on ${method} ${path}`, patience)
    const nothing = Promise.race([replica.died, given_up]).then(() => null)
    const answer = await Promise.race([serve(replica.app, path, init), nothing])
    patience.over = true
    await scheduler.sleep(owner, draw.between(2, 60), answer ? `hears ${answer.status}` : 'hears nothing')
    if (answer && answer.status >= 500)
      world.violated(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer === null || draw.chance(world.loss()) ? null : answer
  }
}

/** One request to one process. */
export async function serve(app: Replica['app'], path: string, init: RequestInit): Promise<Answer> {
  const response = await app.request(path, init)
  const text = await response.text()
  const isJson = (response.headers.get('content-type') ?? '').includes('json')
  return { status: response.status, body: isJson ? (JSON.parse(text) as Answer['body']) : { text } }
}
