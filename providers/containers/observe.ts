// What the engine has of this installation, in bulk, and what it means.

import { z } from 'zod'
import type { Found, Observation } from '../provider.ts'
import type { Answer, Engine } from './engine.ts'
import { labels } from './shape.ts'

const labelled = z.record(z.string(), z.string()).nullish()
const containers = z.array(
  z.object({ Names: z.array(z.string()), State: z.string(), Labels: labelled, Created: z.number() }),
)
const volumes = z.object({
  Volumes: z
    .array(z.object({ Name: z.string(), Labels: labelled, CreatedAt: z.string().nullish() }))
    .nullish(),
})
const inspected = z.object({
  State: z.object({
    Status: z.string(),
    ExitCode: z.number(),
    OOMKilled: z.boolean().nullish(),
    Error: z.string().nullish(),
  }),
})

export type Listed = z.infer<typeof containers>[number]
export type Volume = NonNullable<z.infer<typeof volumes>['Volumes']>[number]

/** Exit codes are asked for one by one; engines answer in a millisecond or two. */
const askedAtOnce = 8

export async function listContainers(engine: Engine, installation: string, signal: AbortSignal) {
  const path = `/containers/json?all=true&filters=${filters(installation)}`
  const listed = await read(engine, path, containers, signal)
  return new Map(listed.map((each) => [(each.Names[0] ?? '').replace(/^\//, ''), each]))
}

export async function listVolumes(engine: Engine, installation: string, signal: AbortSignal) {
  const listed = await read(engine, `/volumes?filters=${filters(installation)}`, volumes, signal)
  return new Map((listed.Volumes ?? []).map((each) => [each.Name, each]))
}

/** One observation per name, in order; `underWay` is what a launch of this process is doing. */
export async function observe(
  engine: Engine,
  names: readonly string[],
  known: { installation: string; underWay: (name: string) => string | null },
  signal: AbortSignal,
): Promise<Observation[]> {
  const listed = await listContainers(engine, known.installation, signal)
  const isMissing = names.some((name) => !listed.has(name))
  const left = isMissing ? await listVolumes(engine, known.installation, signal) : new Map<string, Volume>()
  const seen: Observation[] = []
  for (let from = 0; from < names.length; from += askedAtOnce) {
    const some = names.slice(from, from + askedAtOnce)
    seen.push(
      ...(await Promise.all(
        some.map((name) => {
          const each = listed.get(name)
          return each
            ? stateOf(engine, name, each.State, signal)
            : withoutContainer(left.get(name), known.underWay(name))
        }),
      )),
    )
  }
  return seen
}

async function stateOf(
  engine: Engine,
  name: string,
  state: string,
  signal: AbortSignal,
): Promise<Observation> {
  switch (state) {
    case 'created':
    case 'configured':
    case 'initialized':
      return { state: 'pending', detail: 'its container is made and not started' }
    case 'exited':
    case 'stopped':
    case 'dead':
      return exited(engine, name, signal)
    case 'running':
      return { state: 'running', detail: null }
    default:
      // paused, restarting, stopping, removing: it is there, and what becomes of it is not known yet
      return { state: 'running', detail: `its container is ${state.slice(0, 40)}` }
  }
}

async function exited(engine: Engine, name: string, signal: AbortSignal): Promise<Observation> {
  const answer = await engine.call({ method: 'GET', path: `/containers/${name}/json` }, signal)
  if (answer.status === 404) return { state: 'gone', detail: null }
  const { State } = checked(engine, answer, inspected)
  const detail = State.Error ? State.Error.replace(/\s+/g, ' ').slice(0, 300) : null
  return {
    state: 'exited',
    exit_code: State.ExitCode,
    detail: State.OOMKilled ? 'the kernel killed it for memory' : detail,
    reason: State.OOMKilled ? 'out_of_memory' : null,
  }
}

function withoutContainer(volume: Volume | undefined, underWay: string | null): Observation {
  const problem = volume?.Labels?.[labels.problem]
  if (problem !== undefined) {
    const exit_code = volume?.Labels?.[labels.exit_code]
    const code = exit_code === undefined ? null : Number(exit_code)
    return { state: 'exited', exit_code: code, detail: problem, reason: 'image' }
  }
  if (underWay !== null) return { state: 'pending', detail: underWay }
  // Another process launches it, or none does any more: then it is launched again, or the bound of a start ends it.
  if (volume !== undefined) return { state: 'pending', detail: 'its launch is under way' }
  return { state: 'gone', detail: null }
}

/** A container, or the volume of one that is not there yet or any more. */
export function foundOf(
  name: string,
  item: Listed | Volume,
  at: { host: string; usd_per_hour: number },
): Found {
  const since = 'Created' in item ? item.Created * 1_000 : Date.parse(item.CreatedAt ?? '')
  return {
    name,
    attempt_id: item.Labels?.[labels.attempt] ?? null,
    handle: { host: at.host, name },
    usd_per_hour: at.usd_per_hour,
    since: Number.isFinite(since) ? new Date(since).toISOString() : null,
  }
}

async function read<T>(engine: Engine, path: string, shape: z.ZodType<T>, signal: AbortSignal): Promise<T> {
  return checked(engine, await engine.call({ method: 'GET', path }, signal), shape)
}

function checked<T>(engine: Engine, answer: Answer, shape: z.ZodType<T>): T {
  if (answer.status !== 200) throw engine.refusal({ method: 'GET' }, answer)
  const found = shape.safeParse(answer.json)
  if (found.success) return found.data
  throw engine.failure('unavailable', 'the answer of the container engine cannot be read')
}

function filters(installation: string): string {
  return encodeURIComponent(JSON.stringify({ label: [`${labels.installation}=${installation}`] }))
}
