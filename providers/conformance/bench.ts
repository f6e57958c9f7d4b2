// What a case works with: the adapter under test, its back end, and the questions that most cases ask.
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { providerErrorCodes, type ProviderErrorCode } from '../errors.ts'
import type { Found, Handle, LaunchRequest, LaunchSecrets, Observation, Provider } from '../provider.ts'
import type { BackEnd, World } from './subject.ts'

/** A promise of the contract that was not kept: what was expected and what was seen. */
export class Broken extends Error {
  override readonly name = 'Broken'
}

/** The promise could not be tried on this subject. */
export interface Skip {
  skipped: string
}

export interface Case {
  name: string
  /** Controls of the back end without which it is skipped. */
  needs: readonly (keyof BackEnd)[]
  run(bench: Bench, back: BackEnd): Promise<Skip | void>
}

export interface Launched {
  attempt_id: string
  handle: Handle
  request: LaunchRequest
}

export interface Bench {
  world: World
  provider: Provider
  signal: AbortSignal
  secrets: LaunchSecrets
  /** Another adapter of the account. */
  replica(): Provider
  /** Watches an adapter that the back end made. */
  watch(provider: Provider): Provider
  newId(): string
  launch(attempt_id?: string, provider?: Provider): Promise<Launched>
  never(): Promise<{ attempt_id: string; handle: null; request: LaunchRequest }>
}

export function defineCase<const Need extends keyof BackEnd>(
  name: string,
  needs: readonly Need[],
  run: (bench: Bench, back: BackEnd & Required<Pick<BackEnd, Need>>) => Promise<Skip | void>,
): Case {
  // Called only where all of them are there.
  return { name, needs, run: (bench, back) => run(bench, back as BackEnd & Required<Pick<BackEnd, Need>>) }
}

export function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Broken(otherwise)
}

export function mustEqual(seen: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(seen, expected))
    throw new Broken(`${what}: expected ${show(expected)}, saw ${show(seen)}`)
}

/** Shown values are bounded: a report is read by people. */
const shown_chars = 300

export function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > shown_chars ? `${text.slice(0, shown_chars)}…` : text
}

/** The error of a call that has to fail. */
export async function failureOf(work: Promise<unknown>, what: string): Promise<{ code: ProviderErrorCode }> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('value' in outcome) throw new Broken(`${what}: expected an error, saw ${show(outcome.value)}`)
  return typed(outcome.error, what)
}

function typed(error: unknown, what: string): { code: ProviderErrorCode } {
  // By name and code: an adapter of another package may carry its own copy of the class.
  const { name, code, message } = error as { name?: unknown; code?: unknown; message?: unknown }
  const isTyped = name === 'ProviderError' && providerErrorCodes.some((known) => known === code)
  if (!isTyped) throw new Broken(`${what}: expected a ProviderError, saw ${String(name)}: ${String(message)}`)
  return error as { code: ProviderErrorCode }
}

export async function observe(
  bench: Bench,
  ref: Parameters<Provider['inspect']>[0][number],
  provider = bench.provider,
) {
  const seen = await provider.inspect([ref], bench.signal)
  mustEqual(seen.length, 1, 'observations of one ref')
  return seen[0] as Observation
}

export const isAlive = ({ state }: Observation) => state === 'pending' || state === 'running'
export const isOver = ({ state }: Observation) => state === 'exited' || state === 'gone'

/** Looks again while time passes, as long as the world's patience lasts. */
export async function until<Value>(
  bench: Bench,
  what: string,
  look: () => Promise<Value>,
  isSo: (value: Value) => boolean,
): Promise<Value> {
  let value = await look()
  for (let round = 0; round < rounds && !isSo(value); round++) {
    await bench.world.pass(bench.world.patience_ms / rounds)
    value = await look()
  }
  must(isSo(value), `${what}: expected it within ${bench.world.patience_ms} ms, saw ${show(value)}`)
  return value
}

/** Fine enough to be quick on real back ends, coarse enough for those that count calls. */
const rounds = 200

export const untilSeen = (bench: Bench, ref: Launched, isSo: (seen: Observation) => boolean, what: string) =>
  until(bench, what, () => observe(bench, ref), isSo)

/** A list that never ends is a broken promise too. */
const list_most = 10_000

export async function listed(bench: Bench, provider = bench.provider): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of provider.list(bench.signal)) {
    found.push(each)
    must(found.length <= list_most, `list gave more than ${list_most} things`)
  }
  return found
}

/** What is launched may be missing from reads for this long. */
export const passLag = (bench: Bench) => bench.world.pass(bench.provider.traits.list_lag_ms)

/** Waits as the core does before it repeats a launch whose outcome is not known. */
export async function passBeforeRepeat(bench: Bench): Promise<void> {
  if (!bench.provider.traits.launch_token) await passLag(bench)
}

/** For as long as `ms` of real time. */
export async function within<Value>(ms: number, work: Promise<Value>, what: string): Promise<Value> {
  const over = new AbortController()
  const late = sleep(ms, null, { signal: over.signal }).then(
    () => {
      throw new Broken(`${what} did not end within ${ms} ms`)
    },
    () => new Promise<never>(() => undefined),
  )
  try {
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}
