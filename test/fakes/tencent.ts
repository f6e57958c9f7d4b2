// The APIs of TKE and CVM as the SDKs of Tencent see them: signatures are verified by code of this file, parameters that an action
// does not have are refused, lists come in pages, and errors are HTTP 200 with the bodies that the APIs send.
import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Fault } from '../../providers/conformance/subject.ts'
import { serveWire, type WireAnswer, type WireRequest } from './wire.ts'

export const secretId = 'AKIDz8krbsJ5yKBZQpn74WFkmLPx3gnPhESA'
export const secretKey = 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE'

/** As the APIs send them: one for each row of the adapter's table, with the messages of the language en-US. */
export const recorded: Readonly<Record<string, string>> = {
  'ResourceInsufficient.SpecifiedInstanceType': 'The specified type of instance is understocked.',
  'ResourceInsufficient.AvailabilityZoneSoldOut': 'The availability zone is sold out.',
  'ResourcesSoldOut.SpecifiedInstanceType': 'The specified type of instance is sold out.',
  'ResourceUnavailable.InstanceType': 'The instance type is unavailable in this zone.',
  'InvalidParameterValue.ZoneNotSupported':
    'The specified zone `ap-guangzhou-6` does not support this instance type.',
  'FailedOperation.NoAvailableIpAddressCountInSubnet': 'No available IP address in the subnet.',
  'LimitExceeded.CvmInstanceQuota': 'The quota of CVM instances is exceeded.',
  'LimitExceeded.SpotQuota': 'The quota of spot instances is exceeded.',
  LimitExceeded: 'The quota is exceeded.',
  'FailedOperation.QuotaMaxNodLimit': 'The number of nodes exceeds the limit.',
  'InternalError.QuotaMaxClsLimit': 'The number of clusters exceeds the limit.',
  'FailedOperation.TradeInsufficientBalance': 'The account has an insufficient balance.',
  'InternalError.InsufficientBalance': 'Insufficient balance.',
  'FailedOperation.InquiryPriceFailed': 'Failed to query the price: the account is in arrears.',
  AccountQualificationRestrictions: 'The account does not meet the qualification.',
  RequestLimitExceeded:
    'Your current request times equals to `20` in a second, which exceeds the frequency limit `20` for a second. Please reduce the frequency of calls.',
  'RequestLimitExceeded.UinLimitExceeded': 'The frequency limit of the account is exceeded.',
  'AuthFailure.SecretIdNotFound': 'The SecretId is not found, please ensure that your SecretId is correct.',
  'AuthFailure.SignatureFailure':
    'The provided credentials could not be validated because of exceeding request size limit, please check your signature is correct.',
  'AuthFailure.SignatureExpire': 'Signature expired, timestamp must be within 5 minutes of the server time.',
  'AuthFailure.TokenFailure': 'Token invalid.',
  'AuthFailure.UnauthorizedOperation':
    'You are not authorized to perform operation (tke:DescribeClusterKubeconfig)',
  UnauthorizedOperation: 'You are not authorized to perform this operation. Check your CAM policies.',
  'UnauthorizedOperation.CamNoAuth': 'CAM authorization is required.',
  'FailedOperation.CamNoAuth': 'No CAM authorization.',
  'InternalError.CamNoAuth': 'No CAM authorization.',
  'FailedOperation.RBACForbidden': 'RBAC: the user may not do this in the cluster.',
  ResourceNotFound: 'The resource is not found.',
  'ResourceNotFound.ClusterNotFound': 'cluster not found',
  'InvalidParameter.ClusterNotFound': 'cluster not found',
  'InternalError.ClusterNotFound': 'cluster cls-00000000 not found',
  'InvalidParameter.Param': 'PARAM_ERROR(Param)',
  'InvalidParameterValue.Range': 'The value of Limit is out of range.',
  InvalidParameterCombination: 'The parameters cannot be combined.',
  MissingParameter: 'The request is missing a required parameter `ClusterId`.',
  UnknownParameter: 'The parameter `Cluster` is not recognized.',
  'UnsupportedOperation.CaEnableFailed': 'The operation is not supported.',
  UnsupportedRegion: 'The region is not supported.',
  InvalidAction: 'The request action=`Describe` is invalid or not found.',
  NoSuchVersion: 'The request version=`2017-03-13` is invalid.',
  'InvalidInstanceId.NotFound': 'The instance `ins-00000000` is not found.',
  InternalError:
    'An internal error has occurred. Retry your request, but if the problem persists, contact us.',
  'InternalError.UnexceptedInternal': 'internal error',
  ResourceInUse: 'The resource is in use.',
  'ResourceUnavailable.ClusterState': 'The cluster state does not allow this.',
  ResourceBusy: 'The resource is busy.',
  'OperationDenied.InstanceOperationInProgress': 'An operation is in progress.',
  'FailedOperation.KubeClientConnection': 'The kube client cannot connect.',
  'FailedOperation.UnexpectedError': 'An unexpected error.',
}

/** A code that no version of the adapter's table knows. */
export const unheardOf = { code: 'SomethingNew.Entirely', message: 'Something new.' }

export interface FakePool {
  NodePoolId: string
  [field: string]: unknown
}

export interface FakeInstance {
  Zone: string
  InstanceType: string
  InstanceChargeType: string
  [field: string]: unknown
}

export interface TencentOptions {
  cluster_id: string
  region: string
  kubeconfig: () => string
}

/** What each action takes; `!` has to be there. */
export const actions: Readonly<Record<string, { version: string; parameters: readonly string[] }>> = {
  DescribeClusterKubeconfig: { version: '2018-05-25', parameters: ['ClusterId!', 'IsExtranet'] },
  DescribeClusterEndpoints: { version: '2018-05-25', parameters: ['ClusterId!'] },
  DescribeClusterStatus: { version: '2018-05-25', parameters: ['ClusterIds'] },
  DescribeNodePools: { version: '2022-05-01', parameters: ['ClusterId!', 'Filters', 'Offset', 'Limit'] },
  DescribeZoneInstanceConfigInfos: { version: '2017-03-12', parameters: ['Filters'] },
  InquiryPriceRunInstances: {
    version: '2017-03-12',
    parameters: [
      'Placement!',
      'ImageId!',
      'InstanceType',
      'InstanceChargeType',
      'InstanceCount',
      'SystemDisk',
    ],
  },
}

class Refused extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export async function openTencent(options: TencentOptions) {
  const state = {
    cluster: 'Running',
    endpoints: { public: '203.0.113.7', private: '10.0.0.7' } as Record<string, string>,
    pools: [] as FakePool[],
    instances: [] as FakeInstance[],
    /** CNY an hour beside the instance, for the disk of a quote. */
    disk_cny: 0.05,
    page: 100,
    /** Of the server's clock, in seconds. */
    skew_s: 0,
    /** Only this one is right; none if null. */
    token: null as string | null,
    /** Answered in place of this action's answer. */
    error: null as { action: string; code: string; message: string } | null,
    asked: [] as { action: string; body: Record<string, unknown> }[],
  }
  const answer = (request: WireRequest): WireAnswer => {
    const RequestId = randomUUID()
    try {
      return json({ ...carryOut(request), RequestId })
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return json({ Error: { Code: error.code, Message: error.message }, RequestId })
    }
  }
  const carryOut = (request: WireRequest): object => {
    verify(request, state.skew_s, state.token)
    const header = (name: string) => String(request.headers[name] ?? '')
    const action = header('x-tc-action')
    const known = actions[action]
    if (!known)
      throw new Refused('InvalidAction', `The request action=\`${action}\` is invalid or not found.`)
    if (header('x-tc-version') !== known.version)
      throw new Refused('NoSuchVersion', `The request version=\`${header('x-tc-version')}\` is invalid.`)
    if (header('x-tc-region') !== options.region)
      throw new Refused('UnsupportedRegion', 'The region is not supported.')
    const body = JSON.parse(request.body) as Record<string, unknown>
    for (const name of Object.keys(body))
      if (!known.parameters.some((each) => each.replace('!', '') === name))
        throw new Refused('UnknownParameter', `The parameter \`${name}\` is not recognized.`)
    for (const name of known.parameters.filter((each) => each.endsWith('!')))
      if (body[name.slice(0, -1)] === undefined)
        throw new Refused(
          'MissingParameter',
          `The request is missing a required parameter \`${name.slice(0, -1)}\`.`,
        )
    state.asked.push({ action, body })
    if (state.error?.action === action) throw new Refused(state.error.code, state.error.message)
    if (body['ClusterId'] !== undefined && body['ClusterId'] !== options.cluster_id)
      throw new Refused('ResourceNotFound.ClusterNotFound', 'cluster not found')
    return does(action, body)
  }
  const does = (action: string, body: Record<string, unknown>): object => {
    switch (action) {
      case 'DescribeClusterKubeconfig':
        return { Kubeconfig: options.kubeconfig() }
      case 'DescribeClusterEndpoints':
        return {
          CertificationAuthority: 'x',
          ClusterExternalEndpoint: state.endpoints['public'] ?? '',
          ClusterIntranetEndpoint: state.endpoints['private'] ?? '',
          ClusterDomain: `${options.cluster_id}.ccs.tencent-cloud.com`,
        }
      case 'DescribeClusterStatus': {
        const ids = body['ClusterIds'] as string[] | undefined
        const all = ids && !ids.includes(options.cluster_id) ? [] : [options.cluster_id]
        const ClusterStatusSet = all.map((ClusterId) => ({ ClusterId, ClusterState: state.cluster }))
        return { ClusterStatusSet, TotalCount: all.length }
      }
      case 'DescribeNodePools': {
        const { Offset = 0, Limit = 20 } = body as { Offset?: number; Limit?: number }
        if (Limit < 1 || Limit > 100)
          throw new Refused('InvalidParameterValue.Range', 'The value of Limit is out of range.')
        const NodePools = state.pools.slice(Offset, Offset + Math.min(Limit, state.page))
        return { NodePools, TotalCount: state.pools.length }
      }
      case 'DescribeZoneInstanceConfigInfos':
        return { InstanceTypeQuotaSet: filtered(state.instances, body['Filters'] as Filter[] | undefined) }
      default:
        return quoteOf(body)
    }
  }
  const quoteOf = (body: Record<string, unknown>): object => {
    const { Zone } = body['Placement'] as { Zone: string }
    const found = state.instances.find(
      (each) =>
        each.Zone === Zone &&
        each.InstanceType === body['InstanceType'] &&
        each.InstanceChargeType === body['InstanceChargeType'],
    )
    if (!found)
      throw new Refused(
        'InvalidParameterValue.ZoneNotSupported',
        recorded['InvalidParameterValue.ZoneNotSupported'] ?? '',
      )
    if (found['Status'] === 'SOLD_OUT')
      throw new Refused(
        'ResourcesSoldOut.SpecifiedInstanceType',
        recorded['ResourcesSoldOut.SpecifiedInstanceType'] ?? '',
      )
    const { UnitPriceDiscount } = found['Price'] as { UnitPriceDiscount: number }
    const InstancePrice = { UnitPriceDiscount: UnitPriceDiscount + state.disk_cny, ChargeUnit: 'HOUR' }
    return { Price: { InstancePrice, BandwidthPrice: null } }
  }
  const refusal = (fault: Fault, request: WireRequest): WireAnswer | null => {
    const code = codeOfFault[fault]
    if (fault === 'echo')
      return errorOf('InvalidParameter.Param', `${request.body} ${JSON.stringify(request.headers)}`)
    return code ? errorOf(code, recorded[code] ?? '') : null
  }
  const wire = await serveWire({ answer, refusal })
  return { state, wire, host: wire.url.replace('http://', ''), close: wire.close }
}

const codeOfFault: Partial<Record<Fault, string>> = {
  capacity: 'ResourcesSoldOut.SpecifiedInstanceType',
  quota: 'LimitExceeded.CvmInstanceQuota',
  balance: 'FailedOperation.TradeInsufficientBalance',
  throttled: 'RequestLimitExceeded',
  unauthorized: 'AuthFailure.SecretIdNotFound',
  rejected: 'InvalidParameter.Param',
  server_error: 'InternalError',
}

const json = (Response: object): WireAnswer => ({ status: 200, body: JSON.stringify({ Response }) })
const errorOf = (Code: string, Message: string) => json({ Error: { Code, Message }, RequestId: randomUUID() })

interface Filter {
  Name: string
  Values: string[]
}

const fieldOf: Readonly<Record<string, string>> = {
  zone: 'Zone',
  'instance-type': 'InstanceType',
  'instance-charge-type': 'InstanceChargeType',
  'instance-family': 'InstanceFamily',
}

function filtered(items: readonly FakeInstance[], filters: readonly Filter[] = []): FakeInstance[] {
  for (const { Name, Values } of filters) {
    if (!fieldOf[Name]) throw new Refused('InvalidParameterValue', `The filter \`${Name}\` is not supported.`)
    if (Values.length > 100) throw new Refused('InvalidParameterValue.Range', 'Too many values of a filter.')
  }
  return items.filter((item) =>
    filters.every(({ Name, Values }) => Values.includes(String(item[fieldOf[Name] as string]))),
  )
}

/** TC3-HMAC-SHA256, by https://cloud.tencent.com/document/api/213/30654 and not by the SDK. */
function verify({ method, path, headers, body }: WireRequest, skew_s: number, token: string | null): void {
  const header = (name: string) => String(headers[name] ?? '')
  const signed =
    /^TC3-HMAC-SHA256 Credential=([^/]+)\/([\d-]+)\/([^/]+)\/tc3_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
      header('authorization'),
    )
  if (!signed) throw new Refused('AuthFailure.InvalidAuthorization', 'The authorization header is invalid.')
  const [, id, date, service, names = '', signature = ''] = signed
  if (id !== secretId)
    throw new Refused('AuthFailure.SecretIdNotFound', recorded['AuthFailure.SecretIdNotFound'] ?? '')
  const timestamp = Number(header('x-tc-timestamp'))
  const now_s = (performance.timeOrigin + performance.now()) / 1000 + skew_s
  if (!(Math.abs(now_s - timestamp) <= 300))
    throw new Refused('AuthFailure.SignatureExpire', recorded['AuthFailure.SignatureExpire'] ?? '')
  if (date !== new Date(timestamp * 1000).toISOString().slice(0, 10))
    throw new Refused(
      'AuthFailure.SignatureFailure',
      'The date of the credential is not that of the timestamp.',
    )
  // The host is signed without its port.
  const values: Record<string, string> = { host: header('host').split(':')[0] ?? '' }
  const canonical = names
    .split(';')
    .map((name) => `${name}:${(values[name] ?? header(name)).toLowerCase()}\n`)
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  const request = [method, path, '', canonical.join(''), names, hash(body)].join('\n')
  const scope = `${date}/${service}/tc3_request`
  const text = ['TC3-HMAC-SHA256', String(timestamp), scope, hash(request)].join('\n')
  const mac = (key: string | Buffer, value: string) => createHmac('sha256', key).update(value).digest()
  const key = mac(mac(mac(`TC3${secretKey}`, date ?? ''), service ?? ''), 'tc3_request')
  if (!timingSafeEqual(mac(key, text), Buffer.from(signature, 'hex')))
    throw new Refused('AuthFailure.SignatureFailure', recorded['AuthFailure.SignatureFailure'] ?? '')
  if (token !== null && header('x-tc-token') !== token)
    throw new Refused('AuthFailure.TokenFailure', 'Token invalid.')
}
