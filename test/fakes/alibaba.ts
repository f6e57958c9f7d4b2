// ECS as its SDK sees it: signatures, tokens, states that take time, stock, quota, spot, AutoReleaseTime, and a bill by the second.
import { randomUUID } from 'node:crypto'
import type { Fault } from '../../providers/conformance/subject.ts'
import { recorded, Refused } from './alibaba-answers.ts'
import {
  type FakeInstance,
  type FakeType,
  hasTags,
  instanceView,
  isGone,
  type Leftover,
  leftovers,
  fails_ms,
  minuteOf,
  statusOf,
  stopping_ms,
  typeView,
} from './alibaba-machines.ts'
import { type Asked, type Key, listOf, parse, tagsOf, verify } from './alibaba-request.ts'
import { serveWire, type WireAnswer, type WireRequest } from './wire.ts'

export const key: Key = {
  id: 'LTAI5tExampleKeyOfTheFake',
  secret: 'the-secret-of-the-key-0123456789',
  token: null,
}

export interface EcsOptions {
  region: string
  /** Zone by vSwitch. */
  vswitches: Readonly<Record<string, string>>
  now_ms: number
}

export async function openEcs(options: EcsOptions) {
  const state = {
    now_ms: options.now_ms,
    /** Of the server's clock against ours. */
    skew_s: 0,
    keys: [key],
    /** Permissions that the key lacks. */
    denied: new Set<string>(),
    types: new Map<string, FakeType>(),
    /** `type/zone`, by what DescribeAvailableResource says of it; WithStock if it is not named. */
    stock: new Map<string, string>(),
    currency: 'USD',
    quota: Infinity,
    /** What is created from now on comes to nothing. */
    fails: false,
    /** What is Pending is not released yet, as Terraform's provider met it. */
    initializes: false,
    lag_ms: 0,
    page: 100,
    image: 'm-bp1example',
    security_group: 'sg-bp1example',
    instances: new Map<string, FakeInstance>(),
    disks: new Map<string, Leftover>(),
    interfaces: new Map<string, Leftover>(),
    /** By ClientToken: what was asked for, and what was answered. */
    tokens: new Map<string, { asked: string; answer: object | Refused }>(),
    /** Answered in place of this action's answer. */
    error: null as { action: string; code: string } | null,
    asked: [] as Asked[],
    heard: [] as WireRequest[],
  }
  const nonces = new Set<string>()
  let ids = 0
  const idOf = (kind: string) => `${kind}-bp1${String(++ids).padStart(17, '0')}`

  const carryOut = (request: WireRequest): object => {
    state.heard.push(request)
    verify(request, state.keys, nonces, state.skew_s)
    const asked = parse(request, options.region)
    state.asked.push(asked)
    if (state.denied.has(asked.action)) throw new Refused('Forbidden.RAM')
    if (state.error?.action === asked.action) throw new Refused(state.error.code)
    return does(asked)
  }

  const does = ({ action, parameters }: Asked): object => {
    const get = (name: string) => parameters.get(name) ?? ''
    switch (action) {
      case 'RunInstances':
        return run(parameters)
      case 'DeleteInstance':
        return end(get('InstanceId'), get('Force') === 'true', get('DryRun') === 'true')
      case 'DeleteDisk':
        if (!state.disks.delete(get('DiskId'))) throw new Refused('InvalidDiskId.NotFound')
        return {}
      case 'DeleteNetworkInterface':
        if (!state.interfaces.delete(get('NetworkInterfaceId'))) throw new Refused('InvalidEniId.NotFound')
        return {}
      case 'DescribeInstances':
        return describe(parameters)
      case 'DescribeInstanceHistoryEvents':
        return events(parameters)
      case 'DescribeInstanceTypes': {
        const named = listOf(parameters, 'InstanceTypes')
        if (named.length > 10) throw new Refused('InvalidParameter')
        const all = [...state.types].filter(([type]) => named.includes(type))
        return { ...pageOf(all.map(typeView), parameters, 'InstanceTypes', 'InstanceType') }
      }
      case 'DescribeAvailableResource':
        return available(parameters)
      case 'DescribePrice':
        return price(parameters)
      case 'GetInstanceConsoleOutput': {
        const found = present(get('InstanceId'))
        if (!found) throw new Refused('InvalidInstanceId.NotFound')
        const ConsoleOutput = Buffer.from(found.console).toString('base64')
        return { InstanceId: found.id, ConsoleOutput, LastUpdateTime: new Date(state.now_ms).toISOString() }
      }
      case 'DescribeDisks':
        return pageOf(leftovers(state.disks, parameters, 'DiskId'), parameters, 'Disks', 'Disk')
      default: {
        const found = leftovers(state.interfaces, parameters, 'NetworkInterfaceId')
        return pageOf(found, parameters, 'NetworkInterfaceSets', 'NetworkInterfaceSet')
      }
    }
  }

  /** https://help.aliyun.com/document_detail/25442.html: one that runs only by force; what is released is known no more. */
  const end = (id: string, force: boolean, isDry: boolean): object => {
    const found = present(id)
    if (!found) throw new Refused('InvalidInstanceId.NotFound')
    if (isDry) throw new Refused('DryRunOperation')
    const status = statusOf(found, state.now_ms)
    if (status === 'Pending' && state.initializes) throw new Refused('IncorrectInstanceStatus.Initializing')
    if (status !== 'Stopped' && !force) throw new Refused('IncorrectInstanceStatus')
    found.gone_ms = Math.min(found.gone_ms ?? Infinity, state.now_ms + stopping_ms)
    return {}
  }

  const present = (id: string): FakeInstance | null => {
    const found = state.instances.get(id)
    return found && !isGone(found, state.now_ms) ? found : null
  }

  /** https://help.aliyun.com/document_detail/25693.html: the same token and request is the same answer, a failed one too. */
  const run = (parameters: ReadonlyMap<string, string>): object => {
    const token = parameters.get('ClientToken')
    const asked = JSON.stringify([...parameters].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    const known = token === undefined ? undefined : state.tokens.get(token)
    if (known && known.asked !== asked) throw new Refused('IdempotentParameterMismatch')
    if (known?.answer instanceof Refused) throw known.answer
    if (known) return known.answer
    validate(parameters, state.now_ms)
    const answer = attempt(() => create(parameters))
    if (token !== undefined) state.tokens.set(token, { asked, answer })
    if (answer instanceof Refused) throw answer
    return answer
  }

  const create = (parameters: ReadonlyMap<string, string>): object => {
    const get = (name: string) => parameters.get(name) ?? ''
    const zone = options.vswitches[get('VSwitchId')]
    const type = get('InstanceType')
    const found = state.types.get(type)
    if (zone === undefined) throw new Refused('InvalidVSwitchId.NotFound')
    if (get('ImageId') !== state.image) throw new Refused('InvalidImageId.NotFound')
    if (get('SecurityGroupId') !== state.security_group) throw new Refused('InvalidSecurityGroupId.NotFound')
    if (!found) throw new Refused('InvalidInstanceType.ValueNotSupported')
    if (/Without|Sold/.test(state.stock.get(`${type}/${zone}`) ?? ''))
      throw new Refused('OperationDenied.NoStock')
    const alive = [...state.instances.values()].filter((each) => !isGone(each, state.now_ms))
    if (alive.length >= state.quota) throw new Refused('QuotaExceed.ElasticQuota')
    const limit = Number(get('SpotPriceLimit') || Infinity)
    if (get('SpotStrategy') === 'SpotWithPriceLimit' && limit < found.spot)
      throw new Refused('InvalidSpotPriceLimit.LowerThanPublicPrice')
    if (get('DryRun') === 'true') throw new Refused('DryRunOperation')
    const id = idOf('i')
    const { now_ms } = state
    state.instances.set(id, {
      id,
      name: get('InstanceName') || id,
      type,
      zone,
      tags: tagsOf(parameters),
      user_data: Buffer.from(get('UserData'), 'base64').toString(),
      console: '',
      parameters,
      created_ms: now_ms,
      shown_ms: now_ms + state.lag_ms,
      release_ms: minuteOf(get('AutoReleaseTime')),
      down_ms: null,
      reclaimed_ms: null,
      fails: state.fails,
      gone_ms: state.fails ? now_ms + fails_ms : null,
    })
    return { InstanceIdSets: { InstanceIdSet: [id] }, OrderId: '204', TradePrice: found.price }
  }

  /** https://help.aliyun.com/document_detail/25506.html */
  const describe = (parameters: ReadonlyMap<string, string>): object => {
    const ids = parameters.has('InstanceIds')
      ? (JSON.parse(parameters.get('InstanceIds') ?? '') as string[])
      : null
    if (ids && (ids.length > 100 || !ids.every((each) => each.startsWith('i-'))))
      throw new Refused('InvalidParameter')
    const name = parameters.get('InstanceName')
    const pattern = name === undefined ? null : new RegExp(`^${name.split('*').map(escaped).join('.*')}$`)
    const found = [...state.instances.values()].filter(
      (each) =>
        !isGone(each, state.now_ms) &&
        state.now_ms >= each.shown_ms &&
        (!ids || ids.includes(each.id)) &&
        (!pattern || pattern.test(each.name)) &&
        hasTags(each.tags, parameters),
    )
    return pageOf(
      found.map((each) => instanceView(each, options.region, state.now_ms)),
      parameters,
      'Instances',
      'Instance',
    )
  }

  /** https://help.aliyun.com/document_detail/63962.html */
  const events = (parameters: ReadonlyMap<string, string>): object => {
    const [ids, kinds] = [listOf(parameters, 'ResourceId'), listOf(parameters, 'InstanceEventType')]
    if (parameters.get('ResourceType') !== 'instance') throw new Refused('InvalidParameter')
    const failed = [...state.instances.values()].filter(
      (each) => each.fails && isGone(each, state.now_ms) && ids.includes(each.id),
    )
    const rows = kinds.includes('SystemFailure.Delete') ? failed : []
    const view = rows.map(({ id, gone_ms }) => ({
      EventId: `e-${id}`,
      InstanceId: id,
      ResourceType: 'instance',
      EventType: { Code: 30, Name: 'SystemFailure.Delete' },
      EventCycleStatus: { Code: 10, Name: 'Executed' },
      EventPublishTime: new Date(gone_ms ?? 0).toISOString(),
      Reason: '',
    }))
    return pageOf(view, parameters, 'InstanceSystemEventSet', 'InstanceSystemEventType')
  }

  /** https://help.aliyun.com/document_detail/66186.html */
  const available = (parameters: ReadonlyMap<string, string>): object => {
    const zones = [...new Set(Object.values(options.vswitches))]
    const AvailableZone = zones
      .filter((zone) => !parameters.has('ZoneId') || zone === parameters.get('ZoneId'))
      .map((zone) => ({
        RegionId: options.region,
        ZoneId: zone,
        Status: 'Available',
        StatusCategory: 'Available',
        AvailableResources: { AvailableResource: [resourceOf(zone)] },
      }))
    return { AvailableZones: { AvailableZone } }
  }
  const resourceOf = (zone: string) => ({
    Type: 'InstanceType',
    SupportedResources: {
      SupportedResource: [...state.types.keys()].map((Value) => {
        const StatusCategory = state.stock.get(`${Value}/${zone}`) ?? 'WithStock'
        return { Value, Status: /Without/.test(StatusCategory) ? 'SoldOut' : 'Available', StatusCategory }
      }),
    },
  })

  /** https://help.aliyun.com/document_detail/107829.html */
  const price = (parameters: ReadonlyMap<string, string>): object => {
    const found = state.types.get(parameters.get('InstanceType') ?? '')
    if (!found) throw new Refused('InvalidInstanceType.ValueNotSupported')
    const isSpot = parameters.get('SpotStrategy') === 'SpotWithPriceLimit'
    const TradePrice = isSpot ? found.spot : found.price
    const Price = { Currency: state.currency, OriginalPrice: found.price, DiscountPrice: 0, TradePrice }
    return { PriceInfo: { Price, Rules: { Rule: [] } } }
  }

  const pageOf = (
    all: readonly object[],
    parameters: ReadonlyMap<string, string>,
    of: string,
    each: string,
  ) => {
    const from = Number(Buffer.from(parameters.get('NextToken') ?? '', 'base64').toString() || 0)
    const most = Math.min(state.page, Math.max(10, Number(parameters.get('MaxResults') ?? 10)))
    const NextToken = from + most < all.length ? Buffer.from(String(from + most)).toString('base64') : ''
    return {
      [of]: { [each]: all.slice(from, from + most) },
      NextToken,
      TotalCount: all.length,
      PageSize: most,
    }
  }

  const answer = (request: WireRequest): WireAnswer => {
    try {
      return {
        status: 200,
        body: JSON.stringify({ ...carryOut(request), RequestId: randomUUID().toUpperCase() }),
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return refusalOf(error.code, error.message)
    }
  }
  const refusal = (fault: Fault, request: WireRequest): WireAnswer | null => {
    const code = codeOfFault[fault]
    if (fault === 'echo')
      return refusalOf('InvalidParameter', `${String(request.query)} ${JSON.stringify(request.headers)}`)
    return code ? refusalOf(code) : null
  }
  const wire = await serveWire({ answer, refusal })
  return { state, wire, nonces, host: wire.url.replace('http://', ''), close: wire.close }
}

const codeOfFault: Partial<Record<Fault, string>> = {
  capacity: 'OperationDenied.NoStock',
  quota: 'QuotaExceed.ElasticQuota',
  balance: 'InvalidAccountStatus.NotEnoughBalance',
  throttled: 'Throttling.User',
  unauthorized: 'Forbidden.RAM',
  rejected: 'InvalidParameter',
  server_error: 'InternalError',
}

function refusalOf(Code: string, Message: string = recorded[Code]?.[1] ?? ''): WireAnswer {
  const RequestId = randomUUID().toUpperCase()
  const Recommend = `https://api.alibabacloud.com/troubleshoot?q=${Code}&product=Ecs&requestId=${RequestId}`
  const body = { RequestId, HostId: 'ecs-cn-hangzhou.aliyuncs.com', Code, Message, Recommend }
  return { status: recorded[Code]?.[0] ?? 400, body: JSON.stringify(body) }
}

function attempt<Value>(work: () => Value): Value | Refused {
  try {
    return work()
  } catch (error) {
    // What is wrong with the request is answered again as it is; only its stock and quota are kept with the token.
    if (error instanceof Refused && /NoStock|QuotaExceed/.test(error.code)) return error
    throw error
  }
}

/** https://help.aliyun.com/document_detail/63440.html */
function validate(parameters: ReadonlyMap<string, string>, now_ms: number): void {
  const get = (name: string) => parameters.get(name) ?? ''
  const must = (isSo: boolean, code: string) => {
    if (!isSo) throw new Refused(code)
  }
  must(/^[\x20-\x7e]{0,64}$/.test(get('ClientToken')), 'InvalidParameter')
  must(get('InstanceName') === '' || /^[\w:.-]{2,128}$/.test(get('InstanceName')), 'InvalidParameter')
  must(
    get('HostName') === '' || /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(get('HostName')),
    'InvalidParameter',
  )
  must(get('Amount') === '1', 'InvalidParameter')
  must(get('SpotPriceLimit') === '' || /^\d+(\.\d{1,3})?$/.test(get('SpotPriceLimit')), 'InvalidParameter')
  must(['', '0', '1'].includes(get('SpotDuration')), 'InvalidParameter')
  must(['', 'optional', 'required'].includes(get('HttpTokens')), 'InvalidParameter')
  const tags = tagsOf(parameters)
  must(tags.size <= 20, 'InvalidParameter')
  must(
    [...tags].every(([name]) => !/^(aliyun|acs:)|https?:\/\//.test(name) && name.length <= 128),
    'InvalidParameter',
  )
  const data = Buffer.from(get('UserData'), 'base64')
  must(
    data.length <= 32 * 1024 && data.toString('base64') === get('UserData'),
    'InvalidUserData.SizeExceeded',
  )
  const release = get('AutoReleaseTime')
  if (release === '') return
  must(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(release), 'InvalidAutoReleaseTime.Malformed')
  must(minuteOf(release) >= now_ms + 30 * 60_000, 'InvalidAutoReleaseTime.Malformed')
  must(minuteOf(release) <= now_ms + 3 * 365 * 86_400_000, 'InvalidAutoReleaseTime.Malformed')
}

/** For a pattern. */
const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
