// One request to RunPod, bounded in time and size.
import { apiUrl, type RunpodProviderOptions } from './options.ts'

/** Reading the pods and making one are two, within the minute that a launch has. */
const call_ms = 25_000
/** Some thousand pods with their variables. */
const body_most = 32 * 1024 ** 2

export const urlOf = (options: Pick<RunpodProviderOptions, 'url'>, path: string): string =>
  `${options.url ?? apiUrl}${path}`

export const headersOf = ({ api_key }: Pick<RunpodProviderOptions, 'api_key'>) => ({
  authorization: `Bearer ${api_key}`,
  'user-agent': 'berth',
})

/** Ends with the caller's signal or after the adapter's own bound. */
export const bounded = (
  { call_ms: most = call_ms }: Pick<RunpodProviderOptions, 'call_ms'>,
  signal: AbortSignal,
) => AbortSignal.any([signal, AbortSignal.timeout(most)])

/** As fetch, with the whole body read; redirects are refused, for they would carry the key elsewhere. */
export async function fetchWhole(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'error' })
  const blocks: Uint8Array[] = []
  let bytes = 0
  for await (const block of response.body ?? []) {
    bytes += block.length
    if (bytes > body_most) throw new Error('the answer is too long')
    blocks.push(block)
  }
  const { status, headers } = response
  return new Response(bytes === 0 ? null : Buffer.concat(blocks), { status, headers })
}
