// Tries each permission and each setting without making anything: reads, and dry runs of what changes something.
import type { ProviderError, ProviderErrorCode } from '../errors.ts'
import type { Check } from '../provider.ts'
import type { Api } from './api.ts'
import { helpersOf } from './helpers.ts'
import { instancesOf, observe, tags } from './instances.ts'
import { bodyOf } from './launch.ts'
import { allOffers, type Prices } from './offers.ts'
import type { AlibabaProviderOptions } from './options.ts'

type Asker = { api: Api; options: AlibabaProviderOptions; prices: Prices }
/** Of nobody: a permission is asked for before it is looked for. */
const nobody = 'i-00000000000000000000'
const policy = 'infra/alibaba/ram-policy.json'

export async function checksOf(asker: Asker, signal: AbortSignal): Promise<Check[]> {
  const { api, options } = asker
  const first = await checkOf('key', 'ecs:DescribeInstances', async () => {
    await instancesOf(asker, null, signal)
    return `the key may read instances in ${options.region}`
  })
  if (!first.ok) return [first]
  const rest: Check[] = [first]
  rest.push(
    await checkOf('events', 'ecs:DescribeInstanceHistoryEvents', async () => {
      await observe(asker, [{ attempt_id: nobody, handle: { instance: nobody }, request: null }], signal)
      return 'it is told why an instance could not be made'
    }),
    await checkOf('leftovers', 'ecs:DescribeDisks, ecs:DescribeNetworkInterfaces', async () => {
      await helpersOf(asker, signal)
      return 'disks and network interfaces that are left behind are found'
    }),
    await checkOf('release', 'ecs:DeleteInstance', async () => {
      const request = { instanceId: nobody, force: true, dryRun: true }
      await api.call('DeleteInstance', request, signal, ({ code }) =>
        ['DryRunOperation', 'InvalidInstanceId.NotFound'].includes(code),
      )
      return 'the key may release instances'
    }),
    await checkOf(
      'offers',
      'ecs:DescribeInstanceTypes, ecs:DescribeAvailableResource, ecs:DescribePrice',
      async () => {
        const offers = await allOffers(asker, signal)
        const unpriced = offers.find(({ usd_per_hour }) => Number.isNaN(usd_per_hour))?.price?.charged
        if (unpriced) throw new Nothing(noRate(unpriced.currency))
        if (offers.length > 0) return `${offers.length} offers`
        throw new Nothing('none of instance_types is sold in these zones with a GPU that is known')
      },
    ),
  )
  for (const vswitch of options.vswitches) {
    const type = options.instance_types[0] ?? ''
    const body = bodyOf(options, { type, zone: vswitch.zone, bid: null }, vswitch)
    const tag = [{ key: tags.installation, value: options.installation }]
    rest.push(
      await checkOf(`launch in ${vswitch.zone}`, 'ecs:RunInstances', async () => {
        await api.call(
          'RunInstances',
          { ...body, tag, dryRun: true },
          signal,
          ({ code }) => code === 'DryRunOperation',
        )
        return `${type} could be started now`
      }),
    )
  }
  return rest
}

class Nothing extends Error {}

const noRate = (currency: string) =>
  currency === 'CNY'
    ? 'prices of this account are in CNY: name the rate and its date in cny_per_usd, like { "rate": 7.1, "at": "2026-11-01" }'
    : `DescribePrice answers in a currency that is not known, ${currency.slice(0, 10)}`

async function checkOf(name: string, actions: string, ask: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await ask() }
  } catch (error) {
    if (error instanceof Nothing)
      return { name, ok: false, detail: `${error.message}: change instance_types, vswitches or gpus` }
    const { code, detail } = error as ProviderError
    // Everything else of the request was found to be right.
    if (code === 'capacity') return { name, ok: true, detail: `${detail}: no stock at the moment` }
    return { name, ok: false, detail: `${detail}: ${todoOf(code, detail, actions)}` }
  }
}

/** By the vendor's own code where it names a setting. */
const settings: readonly (readonly [part: string, todo: string])[] = [
  ['InvalidVSwitchId', 'name vswitches of this region, each with the zone that it is in'],
  ['InvalidSecurityGroupId', 'name a security group of the VPC of the vswitches in security_group_id'],
  ['InvalidImageId', 'name an image of this region in image_id'],
  ['InvalidInstanceType', 'name instance types of this region in instance_types'],
  ['InvalidSystemDisk', 'change disk_category or disk_gib'],
  ['RamRole', 'name a role that ECS may take in ram_role, and let the key pass it on (ram:PassRole)'],
  ['InvalidTimeStamp', 'set the clock of this server'],
  ['SignatureDoesNotMatch', 'see that access_key_secret is that of access_key_id'],
  ['InvalidAccessKeyId', 'see that access_key_id is right and enabled'],
  ['InvalidSecurityToken', 'give a temporary key that has not ended, or one of a RAM user'],
]

const byCode: Partial<Record<ProviderErrorCode, string>> = {
  balance: 'top the account up, or see its method of payment',
  quota: 'raise the quota in Quota Center, or use another region',
  throttled: 'ask again in a minute',
  rejected: 'change the settings of the account',
}

function todoOf(code: ProviderErrorCode, detail: string, actions: string): string {
  const named = settings.find(([part]) => detail.includes(part))
  if (named) return named[1]
  if (code === 'unauthorized') return `give the RAM user ${actions} (${policy})`
  return (
    byCode[code] ??
    'see that this server reaches the ECS endpoint of the region, and what ECS says of this code'
  )
}
