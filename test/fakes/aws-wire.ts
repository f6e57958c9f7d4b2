// What every service of AWS has on the wire: signatures and exceptions.
import aws4 from 'aws4'
import { createHash, randomUUID } from 'node:crypto'
import type { WireAnswer, WireRequest } from './wire.ts'

export const accessKeyId = 'AKIDEXAMPLEOFBERTH00'
export const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
export const region = 'us-east-1'

/** What a signature may be old: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html */
const skew_most_ms = 5 * 60_000

export class Refused extends Error {
  readonly status: number
  readonly type: string
  constructor(type: string, message: string, status = 400) {
    super(message)
    this.type = type
    this.status = status
  }
}

/** As the protocol restJson1 has it: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html */
export const exception = (type: string, message: string, status: number): WireAnswer => ({
  status,
  headers: { 'x-amzn-errortype': type, 'x-amzn-requestid': randomUUID() },
  body: JSON.stringify({ __type: type, message }),
})

/** Signs what came in once more, with another implementation of SigV4, and compares. */
export function verify(request: WireRequest, service: string, now_ms: number): void {
  const { method, path, query, headers, body } = request
  const given = String(headers.authorization ?? '')
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=(?<key>[^/]+)\/(?<day>\d{8})\/(?<region>[^/]+)\/(?<service>[^/]+)\/aws4_request, SignedHeaders=(?<names>[^,]+), Signature=(?<signature>[0-9a-f]{64})$/
  const parts = pattern.exec(given)?.groups
  if (!parts) throw new Refused('MissingAuthenticationTokenException', 'Missing Authentication Token', 403)
  if (parts['key'] !== accessKeyId)
    throw new Refused(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
      403,
    )
  if (parts['region'] !== region || parts['service'] !== service)
    throw new Refused(
      'InvalidSignatureException',
      `Credential should be scoped to a valid region, and to service: '${service}'.`,
      403,
    )
  const date = String(headers['x-amz-date'])
  const at = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  if (Math.abs(Date.parse(at) - now_ms) > skew_most_ms)
    throw new Refused(
      'InvalidSignatureException',
      `Signature expired: ${date} is now earlier than allowed`,
      403,
    )
  const names = (parts['names'] ?? '').split(';')
  for (const needed of ['host', 'x-amz-date'])
    if (!names.includes(needed))
      throw new Refused('InvalidSignatureException', `${needed} must be a signed header`, 403)
  // What the signature covers of the body is this digest.
  const digest = createHash('sha256').update(body).digest('hex')
  if (headers['x-amz-content-sha256'] !== undefined && headers['x-amz-content-sha256'] !== digest)
    throw new Refused('InvalidSignatureException', 'The digest of the payload does not match', 403)
  const signed = Object.fromEntries(names.map((name) => [name, String(headers[name])]))
  const search = query.toString()
  const again = aws4.sign(
    {
      method,
      host: signed['host'] ?? '',
      path: search === '' ? path : `${path}?${search}`,
      headers: signed,
      body,
      service,
      region,
    },
    { accessKeyId, secretAccessKey },
  )
  const own = /Signature=([0-9a-f]{64})/.exec(String(again.headers?.['Authorization']))?.[1]
  if (own !== parts['signature'])
    throw new Refused(
      'InvalidSignatureException',
      'The request signature we calculated does not match the signature you provided.',
      403,
    )
}
