// The HTTP API of a container engine, Docker's or podman's, over its socket.
// undici instead of dockerode: a dozen calls need no SSH, gRPC and protobuf, which that brings along.
// https://docs.docker.com/reference/api/engine/

import { Agent } from 'undici'
import { ProviderError, type ProviderErrorCode } from '../errors.ts'

/** Where the engine listens: `/var/run/docker.sock`, or http(s)://host:port. */
export type EngineAddress =
  | { socket: string }
  | { url: string; tls?: { ca: string; cert: string; key: string } }

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With its query, without the version. */
  path: string
  json?: object
  tar?: Buffer
  headers?: Record<string, string>
  /** Longest time for the whole exchange, in the engine's usual patience; one, if left out. */
  patience?: number
  /** What is added to it. */
  extra_ms?: number
  /** Of the answer; what is longer is cut where `cut` says so, else it is not from an engine. */
  max_bytes?: number
  cut?: true
}

export interface Answer {
  status: number
  /** undefined: it is not JSON. */
  json: unknown
  bytes: Buffer
}

export interface Engine {
  /** @throws ProviderError `unavailable` or, for what changes something, `unknown_outcome`; `unauthorized`. */
  call(call: Call, signal: AbortSignal): Promise<Answer>
  /** The lines of an answer of 200 as they come; `quiet_ms` without one is a hang. Else the whole answer. */
  lines(
    call: Call,
    bounds: { quiet_ms: number; each: (line: string) => void },
    signal: AbortSignal,
  ): Promise<Answer>
  /** What an answer means that the caller has no other use for. */
  refusal(call: Pick<Call, 'method'>, answer: Answer): ProviderError
  failure(code: ProviderErrorCode, detail: string, cause?: unknown): ProviderError
}

/** An engine answers in milliseconds; one that is swapping, or whose disk is at its limit, in seconds. */
const call_ms = 20_000
/** A thousand containers with their labels are two megabytes. */
const answerMax_bytes = 32 * 1024 * 1024
const wordsMax = 300
/** What newer engines have in common; older ones are asked in their own version. Docker 29 knows none before 1.44. */
const preferred = '1.44'

export function createEngine(address: EngineAddress, patience_ms = call_ms): Engine {
  const { origin, connect } = target(address, patience_ms)
  // No kept connections: a new one costs nothing here, and an engine that was restarted leaves dead ones behind.
  const agent = new Agent({ connect, pipelining: 0, headersTimeout: 0, bodyTimeout: 0 })
  let version: Promise<string> | null = null
  const boundOf = ({ patience = 1, extra_ms = 0 }: Call) =>
    AbortSignal.timeout(patience * patience_ms + extra_ms)

  const exchange = async (call: Call, path: string, signal: AbortSignal) => {
    const { method, json, tar } = call
    const type = json ? 'application/json' : tar ? 'application/x-tar' : null
    return agent.request({
      origin,
      path,
      method,
      headers: { ...(type ? { 'content-type': type } : {}), ...call.headers },
      body: json ? JSON.stringify(json) : (tar ?? null),
      signal,
    })
  }

  const versioned = async (call: Call, signal: AbortSignal): Promise<string> => {
    version ??= whole(await exchange({ method: 'GET', path: '/version' }, '/version', signal), call).then(
      versionOf,
    )
    version.catch(() => (version = null))
    return `/v${await version}${call.path}`
  }

  return {
    async call(call, signal) {
      const bounded = AbortSignal.any([signal, boundOf(call)])
      try {
        const path = await versioned(call, bounded)
        return await whole(await exchange(call, path, bounded), call)
      } catch (error) {
        throw transportFailure(call, error)
      }
    },

    async lines(call, { quiet_ms, each }, signal) {
      const quiet = new AbortController()
      const hang = () => quiet.abort(new Error('nothing was heard of it'))
      let timer = setTimeout(hang, quiet_ms)
      const bounded = AbortSignal.any([signal, quiet.signal, boundOf(call)])
      try {
        const answer = await exchange(call, await versioned(call, bounded), bounded)
        if (answer.statusCode !== 200) return await whole(answer, call)
        let rest = ''
        for await (const block of answer.body.setEncoding('utf8')) {
          clearTimeout(timer)
          timer = setTimeout(hang, quiet_ms)
          const lines = (rest + String(block)).split('\n')
          rest = lines.pop() ?? ''
          if (rest.length > answerMax_bytes) throw new Error('a line is too long')
          for (const line of lines) if (line.trim() !== '') each(line)
        }
        if (rest.trim() !== '') each(rest)
        return { status: 200, json: undefined, bytes: Buffer.alloc(0) }
      } catch (error) {
        throw transportFailure(call, error)
      } finally {
        clearTimeout(timer)
      }
    },

    refusal: ({ method }, answer) => refusalOf(method, answer),
    failure,
  }
}

/** What the engine said in words, on one line; never longer than a person reads. */
export function wordsOf(answer: Answer): string {
  const { message, cause } = (answer.json ?? {}) as { message?: unknown; cause?: unknown }
  const words = typeof message === 'string' ? message : typeof cause === 'string' ? cause : ''
  return words.replace(/\s+/g, ' ').trim().slice(0, wordsMax)
}

export function failure(code: ProviderErrorCode, detail: string, cause?: unknown): ProviderError {
  return new ProviderError(code, { provider: 'containers', detail, cause })
}

function target(address: EngineAddress, timeout: number) {
  if ('socket' in address)
    return { origin: 'http://engine', connect: { socketPath: address.socket, timeout } }
  return { origin: address.url, connect: { ...address.tls, timeout } }
}

type Raw = Awaited<ReturnType<Agent['request']>>

async function whole({ statusCode, body }: Raw, call: Pick<Call, 'max_bytes' | 'cut'>): Promise<Answer> {
  const most = call.max_bytes ?? answerMax_bytes
  const blocks: Buffer[] = []
  let size = 0
  for await (const block of body) {
    blocks.push(block as Buffer)
    size += (block as Buffer).length
    if (size <= most) continue
    if (!call.cut) throw new Error('the answer is too long')
    break
  }
  const bytes = Buffer.concat(blocks)
  return { status: statusCode, json: parsed(bytes), bytes }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

function versionOf(answer: Answer): string {
  const { status, json } = answer
  if (status === 401 || status === 403) throw refusalOf('GET', answer)
  const { ApiVersion, MinAPIVersion } = (json ?? {}) as { ApiVersion?: unknown; MinAPIVersion?: unknown }
  if (status !== 200 || typeof ApiVersion !== 'string' || !/^\d+\.\d+$/.test(ApiVersion))
    throw new Error('what listens there is not a container engine')
  const least = typeof MinAPIVersion === 'string' ? MinAPIVersion : '1.0'
  return minor(ApiVersion) >= minor(preferred) && minor(least) <= minor(preferred) ? preferred : ApiVersion
}

/** Versions of the API are all 1.x. */
export const minor = (version: string): number => Number(version.split('.')[1])

function transportFailure({ method }: Pick<Call, 'method'>, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error
  const code = codeOf(error)
  if (code === 'EACCES' || code === 'EPERM')
    return failure('unauthorized', `its socket may not be used (${code}): give this user the right to`)
  const why = code ?? (error instanceof Error && error.name === 'TimeoutError' ? 'no answer in time' : null)
  const detail = `the container engine could not be asked${why === null ? '' : ` (${why})`}`
  return failure(method === 'GET' ? 'unavailable' : 'unknown_outcome', detail)
}

function codeOf(error: unknown): string | null {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++) {
    const { code } = each as NodeJS.ErrnoException
    if (typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code)) return code
  }
  return null
}

function refusalOf(method: Call['method'], answer: Answer): ProviderError {
  const { status } = answer
  const words = wordsOf(answer)
  const detail = `the container engine answered ${status}${words === '' ? '' : `: ${words}`}`
  if (status === 401 || status === 403) return failure('unauthorized', detail)
  if (status === 429) return failure('throttled', detail)
  if (/no space left on device/i.test(words)) return failure('capacity', detail)
  if (status >= 400 && status < 500) return failure(method === 'GET' ? 'unavailable' : 'rejected', detail)
  return failure(method === 'GET' ? 'unavailable' : 'unknown_outcome', detail)
}
