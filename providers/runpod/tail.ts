// The end of a pod's log, of the container and of RunPod itself: why an image is not pulled stands there alone. GraphQL has
// no logs; REST v2 streams them (https://docs.runpod.io/api-reference-v2/pods/stream-pod-logs), and its stream never ends.
import { lost, refusal } from './errors.ts'
import { bounded, headersOf, urlOf } from './http.ts'
import type { RunpodProviderOptions } from './options.ts'

const tail_bytes = 64 * 1024
/** Lines that are asked for: of 64 KiB with some length. */
const lines = 1_000
/** What there was comes at once; then it waits for what comes. */
const quiet_ms = 1_500
/** Lines of some length, and their JSON. */
const most_bytes = 4 * 1024 ** 2
const asked = { api: 'rest', what: 'getPodLogs', mutates: false } as const

export async function tailOf(
  options: RunpodProviderOptions,
  pod: string,
  signal: AbortSignal,
): Promise<string> {
  const quiet = new AbortController()
  let timer: NodeJS.Timeout | null = null
  const rest = (): void => {
    if (timer) clearTimeout(timer)
    timer = setTimeout(() => quiet.abort(), quiet_ms)
  }
  const bound = bounded(options, signal)
  let text = ''
  try {
    const url = urlOf(options, `/v2/pods/${encodeURIComponent(pod)}/logs?tail=${lines}`)
    const response = await fetch(url, {
      headers: headersOf(options),
      redirect: 'error',
      signal: AbortSignal.any([bound, quiet.signal]),
    })
    if (response.status === 404) return ''
    if (!response.ok) throw refusal(asked, response.status, [])
    rest()
    const decoder = new TextDecoder()
    for await (const block of response.body ?? []) {
      text += decoder.decode(block, { stream: true })
      if (text.length > most_bytes) break
      rest()
    }
  } catch (error) {
    if (!quiet.signal.aborted) {
      if ((error as Error).name === 'ProviderError') throw error
      throw lost(asked, bound.aborted ? 'no answer in time' : 'the log broke off')
    }
  } finally {
    if (timer) clearTimeout(timer)
    quiet.abort()
  }
  return lastOf(linesOf(text))
}

/** Events of `id:` and `data:` lines; what broke off in the middle is left out. */
function linesOf(stream: string): string {
  const said: string[] = []
  for (const each of stream.split('\n')) {
    if (!each.startsWith('data:')) continue
    try {
      const { line } = JSON.parse(each.slice('data:'.length)) as { line?: unknown }
      if (typeof line === 'string') said.push(line)
    } catch {
      continue
    }
  }
  return said.map((line) => `${line}\n`).join('')
}

function lastOf(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= tail_bytes) return text
  // From the beginning of a line.
  const end = bytes.subarray(bytes.length - tail_bytes)
  return end.subarray(end.indexOf('\n') + 1).toString()
}
