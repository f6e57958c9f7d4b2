// What ECS refuses with: as its error centre, its documents and the providers of Terraform and Gardener show it. One for each row of
// the adapter's table. https://error-center.alibabacloud.com/product/Ecs
// Codes marked so were never seen from a live account by us: the vendor's pages name them, their messages are made up.

export const recorded: Readonly<Record<string, readonly [status: number, message: string]>> = {
  Throttling: [400, 'Request was denied due to request throttling.'],
  'Throttling.User': [400, 'Request was denied due to user flow control.'],
  'Throttling.Api': [400, 'Request was denied due to api flow control.'],
  'Throttling.ConcurrentLimitExceeded': [400, 'Request was denied due to concurrent limit exceeded.'],
  'Rejected.Throttling': [429, 'Request was denied due to request throttling.'],
  'OperationDenied.NoStock': [
    403,
    'The requested resource is sold out in the specified zone; try other types of resources or other regions and zones.',
  ],
  'OperationDenied.ZoneNotAllowed': [
    403,
    'The creation of the instance to the specified Zone is not allowed.',
  ],
  'OperationDenied.ZoneSystemCategoryNotMatch': [
    403,
    'The specified Zone or cluster does not offer the specified disk category.',
  ],
  'OperationDenied.CloudSSDNotSupported': [
    403,
    'The specified available zone does not offer cloud_ssd disk.',
  ],
  'Zone.NotOnSale': [403, 'The resource in the specified zone is no longer available for sale.'],
  'InvalidResourceType.NotSupported': [
    403,
    'user order resource type [ecs.gn6v-c8g1.2xlarge] not exists in [cn-hangzhou-b].',
  ],
  'InvalidInstanceType.NotSupportDiskCategory': [
    403,
    'The specified instanceType does not support the disk category.',
  ],
  'InvalidInstanceType.ZoneNotSupported': [403, 'The specified zone does not support this instance type.'],
  LackResource: [403, 'There is a lack of resources.'], // not seen live
  'Invalid.PrivatePoolOptions.NoStock': [403, 'The private pool has no stock.'], // not seen live
  'InvalidVSwitchId.IpNotEnough': [400, 'The IPs of the vSwitch are not enough.'], // not seen live
  'InvalidSpotPriceLimit.LowerThanPublicPrice': [
    400,
    'The specified parameter "spotPriceLimit" is lower than the public price.',
  ], // not seen live
  'QuotaExceed.ElasticQuota': [
    403,
    'The number of the specified ECS instances has exceeded the quota of the specified instance type, or the quota of vCPUs.',
  ],
  'QuotaExceed.DiskCapacity': [403, 'The used capacity of disk type has exceeded the quota in the zone.'],
  QuotaExceeded: [403, 'The quota is exceeded.'],
  'QuotaExceed.AfterpayInstance': [403, 'Living afterpay instances quota exceeded.'],
  'QuotaExceed.PortableInstance': [403, 'The portable instances quota is exceeded.'],
  'InvalidAccountStatus.NotEnoughBalance': [403, 'Your account does not have enough balance.'],
  'Account.Arrearage': [403, 'Your account has an outstanding payment.'],
  InvalidPayMethod: [400, 'The specified pay method is not valid.'],
  'InvalidAccessKeyId.NotFound': [404, 'Specified access key is not found.'],
  'InvalidAccessKeyId.Inactive': [403, 'The specified access key is inactive.'],
  SignatureDoesNotMatch: [400, 'Specified signature is not matched with our calculation.'],
  IncompleteSignature: [400, 'The request signature does not conform to Aliyun standards.'],
  'InvalidTimeStamp.Expired': [400, 'Specified time stamp or date value is expired.'],
  'InvalidSecurityToken.Expired': [403, 'Specified SecurityToken is expired.'],
  'Forbidden.RAM': [
    403,
    'User not authorized to operate on the specified resource, or this API doesn’t support RAM.',
  ],
  'Forbidden.SubUser': [403, 'The specified action is not available for you.'],
  'Forbbiden.SubUser': [403, 'The specified action is not available for you.'],
  NoPermission: [403, 'You are not authorized to do this operation.'],
  'InvalidInstanceId.NotFound': [404, 'The specified InstanceId does not exist.'],
  'Forbidden.InstanceNotFound': [404, 'The specified instance is not found.'],
  'InvalidDiskId.NotFound': [404, 'The specified disk does not exist.'],
  'InvalidEniId.NotFound': [404, 'The specified eni does not exist.'],
  SignatureNonceUsed: [400, 'Specified signature nonce was used already.'],
  LastTokenProcessing: [403, 'The last token request is processing.'],
  IdempotentParameterMismatch: [
    400,
    'The request uses the same client token as a previous, but non-identical request.',
  ],
  'Duplicated.ClientToken': [409, 'The client token is used already.'], // not seen live
  MissingParameter: [
    400,
    'The input parameter “InstanceType” that is mandatory for processing this request is not supplied.',
  ],
  'MissingParameter.RegionId': [400, 'The specified RegionId is mandatory.'],
  InvalidParameter: [400, 'The specified parameter is not valid.'],
  'InvalidParameter.NotMatch': [400, 'The specified parameters do not match.'],
  'InvalidImageId.NotFound': [404, 'The specified ImageId does not exist.'],
  'InvalidSecurityGroupId.NotFound': [404, 'The specified SecurityGroupId does not exist.'],
  'InvalidVSwitchId.NotFound': [404, 'The specified VSwitchId does not exist.'],
  'InvalidInstanceType.ValueNotSupported': [403, 'The specified InstanceType is not supported.'],
  'InvalidAutoReleaseTime.Malformed': [400, 'The specified AutoReleaseTime is wrongly formed or too early.'],
  'InvalidUserData.SizeExceeded': [400, 'The specified parameter UserData exceeds the size.'],
  UnsupportedParameter: [400, 'The parameter is not supported.'],
  InternalError: [500, 'The request processing has failed due to some unknown error.'],
  ServiceUnavailable: [503, 'The request has failed due to a temporary failure of the server.'],
  IncorrectInstanceStatus: [403, 'The current status of the resource does not support this operation.'],
  'IncorrectInstanceStatus.Initializing': [
    403,
    'The specified instance status does not support this operation.',
  ],
  IncorrectVSwitchStatus: [400, 'The current status of virtual switch does not support this operation.'],
  'IncorrectDiskStatus.Initializing': [403, 'The disk is initializing.'],
  OperationConflict: [409, 'The operation conflicts with another one.'],
  'Operation.Conflict': [400, 'The operation conflicts with another one.'],
  'InvalidOperation.Conflict': [403, 'The operation may conflicts with others.'],
  'DependencyViolation.RouteEntry': [400, 'Specified object has dependent resources.'],
  DryRunOperation: [400, 'Request validation has been passed with DryRun flag set.'],
}

/** A code that no version of the adapter's table knows. */
export const unheardOf = 'SomethingNew.Entirely'

export class Refused extends Error {
  readonly code: string
  constructor(code: string, message: string = recorded[code]?.[1] ?? '') {
    super(message)
    this.code = code
  }
}
