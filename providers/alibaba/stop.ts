import type { Ref } from '../provider.ts'
import type { Action, Api } from './api.ts'
import { failure, type Refusal } from './errors.ts'
import { instancesOf } from './instances.ts'
import type { AlibabaProviderOptions } from './options.ts'

const gone = [
  'InvalidInstanceId.NotFound',
  'Forbidden.InstanceNotFound',
  'InvalidDiskId.NotFound',
  'InvalidEniId.NotFound',
]
const isGone = ({ code }: Refusal): boolean => gone.includes(code)

/** Releases it, with its disk; power off in between takes seconds, and is confirmed by inspect. */
export async function stop(
  asker: { api: Api; options: AlibabaProviderOptions },
  { handle, request }: Ref,
  signal: AbortSignal,
): Promise<void> {
  const { api, options } = asker
  const end = (action: Action, what: object) => api.call(action, what, signal, isGone)
  if (typeof handle?.['disk'] === 'string') return void (await end('DeleteDisk', { diskId: handle['disk'] }))
  if (typeof handle?.['interface'] === 'string') {
    const what = { regionId: options.region, networkInterfaceId: handle['interface'] }
    return void (await end('DeleteNetworkInterface', what))
  }
  for (const instanceId of await idsOf(asker, handle, request?.name, signal))
    // Its runner has had its grace by now: the system need not be shut down.
    await end('DeleteInstance', { instanceId, force: true, forceStop: true })
}

export async function idsOf(
  asker: { api: Api; options: AlibabaProviderOptions },
  handle: Ref['handle'],
  name: string | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  if (handle) {
    const id = handle['instance']
    if (typeof id === 'string') return [id]
    throw failure('rejected', 'the handle is of nothing that this adapter starts')
  }
  const found = name === undefined ? [] : await instancesOf(asker, { name }, signal)
  return found.flatMap(({ instanceId }) => instanceId ?? [])
}
