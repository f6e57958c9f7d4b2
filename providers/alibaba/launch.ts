// Starts an attempt as one instance: the request, computed from what was stored alone, and what its refusals mean.
import type { Handle, LaunchRequest, LaunchSecrets } from '../provider.ts'
import type { Api } from './api.ts'
import { failure } from './errors.ts'
import { instancesOf, tags } from './instances.ts'
import type { AlibabaProviderOptions, VSwitch } from './options.ts'
import { type Shape, shapeOf } from './shape.ts'
import { userDataOf } from './user-data.ts'

/**
 * ECS releases by itself this long after the attempt's deadline. It takes no time that is less than 30 minutes away, and a launch that
 * is repeated says the same time as before, however late: so 30 minutes, and 15 for repeats.
 */
const afterDeadline_ms = 45 * 60_000
/** Hours for which ECS does not take a spot instance back: 0, or 1 as by default. Prices and stock are asked for with it, too. */
export const spotDuration_h = 1

export async function launch(
  asker: { api: Api; options: AlibabaProviderOptions; program: string },
  request: LaunchRequest,
  secrets: LaunchSecrets,
  signal: AbortSignal,
): Promise<Handle> {
  const { api, options, program } = asker
  const [shape, vswitch] = placeOf(options, request)
  const body = {
    ...bodyOf(options, shape, vswitch),
    ...ownOf(request),
    userData: userDataOf(request, secrets, options, program),
  }
  const answer = await api.call<{ instanceIdSets?: { instanceIdSet?: string[] } }>(
    'RunInstances',
    body,
    signal,
    ({ code }) => code === 'IdempotentParameterMismatch',
  )
  // The account's settings have changed since the first call, which was heard: what it made is the attempt's.
  const id = answer
    ? answer.instanceIdSets?.instanceIdSet?.[0]
    : (await instancesOf(asker, { name: request.name }, signal).catch(() => []))[0]?.instanceId
  if (id) return { instance: id }
  const detail = answer
    ? 'the answer names no instance'
    : 'another request of this attempt was heard, and what it made is not seen yet'
  throw failure('unknown_outcome', `RunInstances: ${detail}`)
}

function placeOf({ vswitches }: AlibabaProviderOptions, { offer }: LaunchRequest): [Shape, VSwitch] {
  const shape = shapeOf(offer)
  const vswitch = shape && vswitches.find(({ zone }) => zone === shape.zone)
  if (!shape || !vswitch)
    throw failure('rejected', 'the offer is of none of the account’s zones: ask for the offers again')
  return [shape, vswitch]
}

/** Everything but what is the attempt's own: what check() tries without making anything. */
export function bodyOf(options: AlibabaProviderOptions, { type, bid }: Shape, { id }: VSwitch): object {
  return {
    regionId: options.region,
    instanceType: type,
    imageId: options.image_id,
    vSwitchId: id,
    securityGroupId: options.security_group_id,
    amount: 1,
    instanceChargeType: 'PostPaid',
    ...(bid === null
      ? { spotStrategy: 'NoSpot' }
      : {
          spotStrategy: 'SpotWithPriceLimit',
          spotPriceLimit: bid,
          spotDuration: spotDuration_h,
          spotInterruptionBehavior: 'Terminate',
        }),
    systemDisk: { category: options.disk_category, size: String(options.disk_gib) },
    ...(options.ram_role && { ramRoleName: options.ram_role }),
    // No address on the internet: machines are reached by nobody.
    internetMaxBandwidthOut: 0,
    // The metadata service answers only to who has fetched a token by PUT, which a program that is tricked into a GET cannot.
    httpTokens: 'required',
  }
}

function ownOf(request: LaunchRequest): object {
  const { attempt_id, name, installation, offer } = request
  return {
    // Another call with it makes nothing new; a creation that failed stays failed, and the next attempt has another id.
    // https://help.aliyun.com/document_detail/25693.html
    clientToken: attempt_id,
    instanceName: name,
    hostName: name,
    // Of the disk and the network interface, too.
    tag: [
      { key: tags.installation, value: installation },
      { key: tags.attempt, value: attempt_id },
      { key: tags.price, value: String(offer.usd_per_hour) },
    ],
    autoReleaseTime: releaseTime(request),
  }
}

/** ECS cuts the seconds off, so the minute is rounded up. */
export function releaseTime({ deadline_at }: Pick<LaunchRequest, 'deadline_at'>): string {
  const minute_ms = 60_000
  const at_ms = Math.ceil((Date.parse(deadline_at) + afterDeadline_ms) / minute_ms) * minute_ms
  return new Date(at_ms).toISOString().replace('.000Z', 'Z')
}
