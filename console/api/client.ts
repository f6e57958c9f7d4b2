// The API as typed functions; the types are those of its routes, and nothing of the server is loaded.
import { hc } from 'hono/client'
import type { App } from '../../functions/_app.ts'
import type { Credentials } from './credential.ts'
import { problemOf, unreachable } from './problem.ts'

export type Client = ReturnType<typeof hc<App>>

/** Until the head of an answer; the slowest are searches in logs, tests of accounts and predictions. */
const answer_ms = 60_000

export interface Api {
  routes: Client
  /** With the credential; throws ProblemError for what is not 2xx. */
  send: (path: string, init?: RequestInit) => Promise<Response>
}

export function createApi(fetch: typeof globalThis.fetch, credentials: Credentials, origin: string): Api {
  const send = async (
    input: Parameters<typeof globalThis.fetch>[0],
    init: RequestInit = {},
  ): Promise<Response> => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), answer_ms)
    const signal = init.signal ? AbortSignal.any([init.signal, late.signal]) : late.signal
    // A body may take as long as it likes: streams last for hours.
    const answer = await fetch(input, { ...init, headers: headersOf(init, credentials), signal })
      .catch((error: unknown) => {
        if (init.signal?.aborted) throw error
        throw unreachable()
      })
      .finally(() => clearTimeout(timer))
    if (answer.ok) return answer
    // A key that was revoked, or a session that has ended: sign in again.
    if (answer.status === 401) credentials.forget()
    throw await problemOf(answer)
  }
  return { routes: hc<App>(origin, { fetch: send }), send }
}

export function headersOf(init: RequestInit, credentials: Credentials): Headers {
  const headers = new Headers(init.headers)
  const credential = credentials.now()
  if (credential?.kind === 'key' && !headers.has('Authorization'))
    headers.set('Authorization', `Bearer ${credential.key}`)
  const project = credentials.project()
  if (credential?.kind === 'cookie' && project !== null) headers.set('Berth-Project', project)
  return headers
}

/** Every route may answer a problem; here those have been thrown. */
export type Answer<Body> = Exclude<Body, { request_id: string }>

/** The JSON of an answer. */
export async function answered<Got extends { json: () => Promise<unknown> }>(
  asked: Promise<Got>,
): Promise<Answer<Awaited<ReturnType<Got['json']>>>> {
  return (await (await asked).json()) as Answer<Awaited<ReturnType<Got['json']>>>
}
