// The API as typed functions. `hc` takes paths, queries, bodies and answers from the routes themselves, as
// types alone, so that a change of the API breaks this build and nothing of the server is loaded.
import { setTimeout as sleep } from 'node:timers/promises'
import { hc } from 'hono/client'
import type { InferResponseType } from 'hono/client'
import type { App } from '../functions/_app.ts'
import type { Connection } from './connection.ts'
import { CliError, exits, type ExitCode, type Problem, usageError } from './exit.ts'
import type { Io } from './io.ts'

/** Until the head of an answer, unless a call takes long. No request of ours asks the server to wait for longer than a second. */
const usual_ms = 60_000
/** A command that is typed by a person says soon that nobody answers; */
export const shortPatience_ms = 5_000
/** one that follows a job outlives a restart or an upgrade of the server. */
export const longPatience_ms = 10 * 60_000
export const firstPause_ms = 200
export const maxPause_ms = 5_000
/** An error page that is longer is not one of ours. */
const maxProblem_bytes = 64 * 1024

type Routes = ReturnType<typeof hc<App>>
type JobRoutes = Routes['v1']['jobs'][':id']
/** Every route may answer a problem; here those have been thrown. */
type Answer<Body> = Exclude<Body, { request_id: string }>

export type Client = Routes
export type Job = Answer<InferResponseType<JobRoutes['$get']>>
export type JobPage = Answer<InferResponseType<Routes['v1']['jobs']['$get']>>
export type LogPage = Exclude<Answer<InferResponseType<JobRoutes['logs']['$get']>>, string>
export type LogLine = LogPage['items'][number]
export type Ranking = Pick<
  Answer<InferResponseType<Routes['v1']['jobs']['estimate']['$post']>>,
  'offers' | 'rejected'
>
export type Offer = Answer<InferResponseType<Routes['v1']['offers']['$get']>>['items'][number]
export type OfferSource = Answer<
  InferResponseType<Routes['v1']['offers']['sources']['$get']>
>['items'][number]
export type Dataset = Answer<InferResponseType<Routes['v1']['datasets'][':id']['$get']>>
export type EventPage = Answer<InferResponseType<JobRoutes['events']['$get']>>
export type JobEvent = EventPage['items'][number]
export type FeedEvent = Answer<InferResponseType<Routes['v1']['events']['$get']>>['items'][number]
export type Webhook = Answer<InferResponseType<Routes['v1']['webhooks']['$get']>>['items'][number]
export type ProviderAccount = Answer<
  InferResponseType<Routes['v1']['provider-accounts']['$get']>
>['items'][number]
export type OrphanPage = Answer<InferResponseType<Routes['v1']['orphans']['$get']>>
export type WebhookBody = Parameters<Routes['v1']['webhooks']['$post']>[0]['json']
export type ArtifactPage = Answer<InferResponseType<JobRoutes['artifacts']['$get']>>
export type Artifact = ArtifactPage['items'][number]
export type JobBody = Parameters<Routes['v1']['jobs']['$post']>[0]['json']

type Input = Parameters<typeof fetch>[0]

export interface Manner {
  /** Ends every call and pause. */
  signal: AbortSignal
  /** For how long a failing call is repeated. */
  patience_ms: number
  /** Until the head of an answer: what is sent may be much, or what is asked for. */
  answer_ms?: number
  /** Told once for each time that the server stays away. */
  on_away?: (why: string) => void
}

/** `key` null: of nobody yet. */
type Asking = Pick<Connection, 'url'> & { key: string | null; project?: string | null }

export function createClient(io: Io, { url, key, project = null }: Asking, manner?: Partial<Manner>): Client {
  const whole = { signal: io.interrupted, patience_ms: shortPatience_ms, ...manner }
  const call = async (input: Input, init?: RequestInit) =>
    patiently(url, whole, init?.method ?? 'GET', () => once(io, whole, input, init ?? {}))
  const headers: Record<string, string> = {
    ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
    ...(project === null ? {} : { 'Berth-Project': project }),
  }
  return hc<App>(url, { fetch: call as typeof fetch, headers })
}

/** The JSON of an answer. */
export async function answered<Response extends { url: string; json: () => Promise<unknown> }>(
  asked: Promise<Response>,
): Promise<Answer<Awaited<ReturnType<Response['json']>>>> {
  const response = await asked
  try {
    return (await response.json()) as Answer<Awaited<ReturnType<Response['json']>>>
  } catch (cause) {
    throw cause instanceof SyntaxError ? notBerth(response.url, cause) : unreachable(response.url, cause)
  }
}

/** A job id as it may stand in a path. */
export function jobId(text: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(text)) return text
  throw usageError(`${JSON.stringify(text)} is not a job id: they look like job_01jd3m4k5nep7r8r9s0t1v2w3x`)
}

export function unreachable(url: string, cause: unknown): CliError {
  const message = `No answer from ${new URL(url).origin} (${reasonOf(cause)}).`
  const hint = 'Is the server running ("npm start"), and is BERTH_URL its address?'
  return new CliError(exits.unreachable, { code: 'unreachable', message, hint }, { cause })
}

export function notBerth(url: string, cause?: unknown): CliError {
  const message = `${new URL(url).origin} does not answer like Berth: is BERTH_URL right?`
  return new CliError(exits.unreachable, { code: 'not_berth', message }, { cause })
}

export const interruption = () =>
  new CliError(exits.interrupted, { code: 'interrupted', message: 'Interrupted.' })

/** Repeats what failed without an answer, or with one that says "later", for as long as the patience lasts. */
async function patiently(
  url: string,
  { signal, patience_ms, on_away }: Manner,
  method: string,
  send: () => Promise<Response>,
): Promise<Response> {
  // All our POSTs may be repeated: what creates carries an idempotency key, orders are idempotent. Of a
  // repeated DELETE the answer would be "not found".
  const end = performance.now() + (method === 'DELETE' ? 0 : patience_ms)
  for (let pause = firstPause_ms, told = false; ; pause = Math.min(2 * pause, maxPause_ms)) {
    const failure = await attempt(send, url)
    if (failure instanceof Response) return failure
    if (signal.aborted) throw interruption()
    const problem = failure instanceof CliError ? failure : unreachable(url, failure)
    const wait = Math.max(pause, retryAfter_ms.get(problem) ?? 0)
    if (!isPassing(failure) || performance.now() + wait > end) throw problem
    if (!told && pause > 1_000) {
      told = true
      on_away?.(problem.message)
    }
    await sleep(wait, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) throw interruption()
  }
}

/** The answer, or what stands in its way. */
async function attempt(send: () => Promise<Response>, url: string): Promise<unknown> {
  try {
    const response = await send()
    return response.ok ? response : await refusal(response, url)
  } catch (error) {
    return error
  }
}

const retryAfter_ms = new WeakMap<CliError, number>()

async function once(
  io: Io,
  { signal, answer_ms = usual_ms }: Manner,
  input: Input,
  init: RequestInit,
): Promise<Response> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Error('it takes too long')), answer_ms)
  try {
    const bounds = { redirect: 'manual', signal: AbortSignal.any([signal, late.signal]) } as const
    // A redirect would turn a POST into a GET and might take the key elsewhere.
    const answer = await io.fetch(input, { ...init, ...bounds })
    const store = storeOf(input, answer)
    if (store === null) return answer
    await answer.body?.cancel()
    return await io.fetch(store, bounds)
  } finally {
    clearTimeout(timer)
  }
}

/** Where the bytes of a file are: at the server's object store, whose address is signed and gets no key. */
function storeOf(input: Input, { status, headers }: Response): URL | null {
  const asked = new URL(input instanceof Request ? input.url : input)
  const to = headers.get('location')
  if (status !== 307 || to === null || !asked.pathname.includes('/artifacts/')) return null
  return URL.parse(to, asked.href)
}

/** Whether trying again can help. A certificate that is not trusted stays so. */
function isPassing(failure: unknown): boolean {
  if (failure instanceof CliError) return failure.exit === exits.unreachable
  return !/CERT|SELF_SIGNED|ERR_TLS|ERR_SSL|ERR_INVALID/.test(reasonOf(failure))
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string }
  return cause?.code ?? cause?.message ?? message ?? String(error)
}

const exitOf: Record<number, ExitCode> = {
  401: exits.unauthorized,
  403: exits.unauthorized,
  404: exits.not_found,
  410: exits.not_found,
  429: exits.unreachable,
}

/** An answer that is not 2xx as an error: RFC 9457 when it is ours, else what can be said. */
async function refusal(response: Response, url: string): Promise<CliError> {
  const { status } = response
  if (status >= 300 && status < 400) {
    await response.body?.cancel()
    const to = response.headers.get('location') ?? 'elsewhere'
    const message = `${url} sends on to ${to}: set BERTH_URL to the final address.`
    return new CliError(exits.usage, { code: 'redirect', message, status })
  }
  const problem = parseProblem(await headOf(response), status)
  const error = new CliError(exitOf[status] ?? (status >= 500 ? exits.unreachable : exits.usage), problem)
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  if (seconds >= 0) retryAfter_ms.set(error, seconds * 1_000)
  return error
}

/** RFC 9457, as functions/_problem.ts writes it. */
interface ProblemJson {
  code?: string
  detail?: string
  title?: string
  errors?: { path: string; message: string }[]
  request_id?: string
}

function parseProblem(text: string, status: number): Problem {
  try {
    const { code, detail, title, errors = [], request_id } = JSON.parse(text) as ProblemJson
    if (typeof code === 'string') {
      const known = request_id === undefined ? {} : { request_id }
      return { code, message: detail || title || code, status, errors, ...known }
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  return { code: `http_${status}`, message: `The server answered ${status}, not in Berth's form.`, status }
}

async function headOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of response.body ?? []) {
      parts.push(part)
      bytes += part.byteLength
      if (bytes > maxProblem_bytes) break
    }
  } catch {
    // Cut off: the status alone has to say it.
  }
  return Buffer.concat(parts).toString('utf8')
}
