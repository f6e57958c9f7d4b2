// The serial console: what a machine says that does not come up, or whose program never got as far as the runner.
import type { Ref } from '../provider.ts'
import type { Api } from './api.ts'
import type { AlibabaProviderOptions } from './options.ts'
import { idsOf } from './stop.ts'

const most_bytes = 64 * 1024

export async function tail(
  asker: { api: Api; options: AlibabaProviderOptions },
  { handle, request }: Ref,
  signal: AbortSignal,
): Promise<string> {
  const [instanceId] = await idsOf(asker, handle, request?.name, signal)
  if (!instanceId) return ''
  const { api, options } = asker
  const answer = await api.call<{ consoleOutput?: string }>(
    'GetInstanceConsoleOutput',
    { regionId: options.region, instanceId, removeSymbols: true },
    signal,
    ({ code }) => code === 'InvalidInstanceId.NotFound',
  )
  const bytes = Buffer.from(answer?.consoleOutput ?? '', 'base64')
  // Not in the middle of a character.
  return bytes
    .subarray(-most_bytes)
    .toString()
    .replace(/^\uFFFD{1,3}/, '')
}
