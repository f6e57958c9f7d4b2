// What ECS does with a request before it looks at what is asked: the signature, and which parameters there are.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { Refused } from './alibaba-answers.ts'
import type { WireRequest } from './wire.ts'

export interface Key {
  id: string
  secret: string
  /** Of a temporary key. */
  token: string | null
}

/** How far a clock may be off: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature */
const skew_most_ms = 15 * 60_000

/**
 * ACS3-HMAC-SHA256, by https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature and not by the SDK. The key is used as it is: there is no
 * derivation by date or region.
 */
export function verify(
  { method, path, query, headers, body }: WireRequest,
  keys: readonly Key[],
  nonces: Set<string>,
  skew_s: number,
): void {
  const header = (name: string) => String(headers[name] ?? '').trim()
  const signed =
    /^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$/.exec(
      header('authorization'),
    )
  if (!signed) throw new Refused('IncompleteSignature')
  const [, id, names = '', signature = ''] = signed
  const key = keys.find((each) => each.id === id)
  if (!key) throw new Refused('InvalidAccessKeyId.NotFound')
  const now_ms = performance.timeOrigin + performance.now() + skew_s * 1_000
  const at_ms = Date.parse(header('x-acs-date'))
  if (!(Math.abs(now_ms - at_ms) <= skew_most_ms)) throw new Refused('InvalidTimeStamp.Expired')
  const must = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-acs-'))]
  if (!must.every((name) => names.split(';').includes(name))) throw new Refused('IncompleteSignature')
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  if (header('x-acs-content-sha256') !== hash(body)) throw new Refused('SignatureDoesNotMatch')
  const canonical = [
    method,
    path,
    [...query]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
      .join('&'),
    names
      .split(';')
      .map((name) => `${name}:${header(name)}\n`)
      .join(''),
    names,
    hash(body),
  ].join('\n')
  const mac = createHmac('sha256', key.secret)
    .update(`ACS3-HMAC-SHA256\n${hash(canonical)}`)
    .digest()
  if (!timingSafeEqual(mac, Buffer.from(signature, 'hex'))) throw new Refused('SignatureDoesNotMatch')
  if ((key.token ?? '') !== header('x-acs-security-token')) throw new Refused('InvalidSecurityToken.Expired')
  const nonce = header('x-acs-signature-nonce')
  if (nonce === '' || nonces.has(nonce)) throw new Refused('SignatureNonceUsed')
  nonces.add(nonce)
}

/** RFC 3986: what encodeURIComponent leaves alone is encoded, too. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** What each action takes (https://api.alibabacloud.com/document/Ecs/2014-05-26); `!` has to be there, N counts from 1. */
export const actions: Readonly<Record<string, string>> = {
  RunInstances:
    'RegionId! ImageId InstanceType! SecurityGroupId VSwitchId Amount ClientToken InstanceName HostName InstanceChargeType SpotStrategy SpotPriceLimit SpotDuration SpotInterruptionBehavior AutoReleaseTime UserData RamRoleName SystemDisk.Category SystemDisk.Size Tag.N.Key Tag.N.Value InternetMaxBandwidthOut HttpTokens HttpEndpoint DryRun',
  DeleteInstance: 'InstanceId! Force ForceStop DryRun',
  DeleteDisk: 'DiskId!',
  DeleteNetworkInterface: 'RegionId! NetworkInterfaceId!',
  DescribeInstances: 'RegionId! InstanceIds InstanceName Status Tag.N.Key Tag.N.Value MaxResults NextToken',
  DescribeInstanceHistoryEvents:
    'RegionId! ResourceType ResourceId.N InstanceEventType.N MaxResults NextToken',
  DescribeInstanceTypes: 'InstanceTypes.N MaxResults NextToken',
  DescribeAvailableResource:
    'RegionId! ZoneId DestinationResource! InstanceType ResourceType InstanceChargeType SpotStrategy SpotDuration NetworkCategory SystemDiskCategory',
  DescribePrice:
    'RegionId! ResourceType InstanceType ImageId SystemDisk.Category SystemDisk.Size SpotStrategy SpotDuration PriceUnit Amount ZoneId',
  GetInstanceConsoleOutput: 'RegionId InstanceId! RemoveSymbols',
  DescribeDisks: 'RegionId! Status Tag.N.Key Tag.N.Value MaxResults NextToken',
  DescribeNetworkInterfaces: 'RegionId! Status Tag.N.Key Tag.N.Value MaxResults NextToken',
}

export interface Asked {
  action: string
  /** As they were sent. */
  parameters: ReadonlyMap<string, string>
}

/** ECS itself ignores what it does not know: the fake refuses it, so that nothing that was meant is lost. */
export function parse({ query, headers }: WireRequest, region: string): Asked {
  const action = String(headers['x-acs-action'] ?? '')
  const known = actions[action]?.split(' ')
  if (!known || headers['x-acs-version'] !== '2014-05-26')
    throw new Refused('InvalidParameter', `The action ${action} is not known.`)
  const parameters = new Map(query)
  for (const name of parameters.keys())
    if (!known.some((each) => each.replace('!', '') === name.replace(/\.[1-9]\d*(?=\.|$)/, '.N')))
      throw new Refused('UnsupportedParameter', `The parameter ${name} is not supported.`)
  for (const name of known.filter((each) => each.endsWith('!')))
    if (!parameters.get(name.slice(0, -1))) throw new Refused('MissingParameter')
  if (parameters.has('RegionId') && parameters.get('RegionId') !== region)
    throw new Refused('InvalidParameter')
  return { action, parameters }
}

/** `Tag.1.Key=a&Tag.1.Value=b` */
export function tagsOf(parameters: ReadonlyMap<string, string>): Map<string, string> {
  const tags = new Map<string, string>()
  for (let each = 1; parameters.has(`Tag.${each}.Key`); each++)
    tags.set(parameters.get(`Tag.${each}.Key`) ?? '', parameters.get(`Tag.${each}.Value`) ?? '')
  return tags
}

/** `ResourceId.1=a&ResourceId.2=b` */
export function listOf(parameters: ReadonlyMap<string, string>, name: string): string[] {
  const values: string[] = []
  for (let each = 1; parameters.has(`${name}.${each}`); each++)
    values.push(parameters.get(`${name}.${each}`) ?? '')
  return values
}
