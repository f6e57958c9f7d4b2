// Which addresses that tenants choose (webhooks, registries) may be called, and what became of a call: the same whatever
// the runtime connects by.
import { BlockList, isIP } from 'node:net'

/** Above this a receiver's answer is cut: it is shown to people, nothing decides by it. */
const maxAnswerBytes = 64 * 1024
/** Longer ones are refused by common proxies; no receiver needs them. */
const maxUrlLength = 2048
const httpsPorts = ['', '443', '8443']
/** Names that never leave the network they are asked in (RFC 6761, 6762, 8375, ICANN's .internal). */
const privateNames = ['localhost', 'local', 'internal', 'home.arpa', 'lan', 'intranet', 'corp', 'home']
/** Metadata services by name: they give the machine's credentials to whoever asks. */
const metadataNames = ['metadata.tencentyun.com', 'metadata.google.internal', 'metadata']

export interface Address {
  address: string
  family: number
}

export interface OutboundOptions {
  /** Private addresses, any port and plain http: for tests and on-premises receivers. Never a cloud's metadata. */
  allow_private: boolean
  /** For the whole exchange, its answer's body too. */
  timeout_ms: number
  /** The system's resolver unless given. */
  resolve?: (hostname: string) => Promise<Address[]>
}

/** The message names no address that was resolved: it is shown to the tenant. */
export class OutboundError extends Error {
  override readonly name = 'OutboundError'
  /** `refused`: the target is not allowed, and the next try will not change that. */
  readonly code: 'refused' | 'timeout' | 'failed'

  constructor(code: OutboundError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/**
 * Whether a URL may be called at all, without asking the network: for the moment it is registered. Names
 * are resolved and checked at every call, because their answer may change in between.
 * @returns null, or why not and what to do.
 */
export function checkTarget(text: string, { allow_private }: { allow_private: boolean }): string | null {
  if (text.length > maxUrlLength) return `the URL is longer than ${maxUrlLength} characters`
  // The parser writes 0x7f.1, 2130706433 and full-width digits as 127.0.0.1: only what it says is checked.
  const url = URL.parse(text)
  if (url === null || url.hostname === '') return 'not a URL: write it as https://host/path'
  if (url.username !== '' || url.password !== '') return 'a URL with a user or password is not allowed'
  if (text.includes('#')) return 'a URL with a fragment (#) is not allowed'
  return allow_private ? checkPrivate(url) : checkPublic(url)
}

export const privateName = 'the name leads to a private, local or reserved address'

function checkScheme(url: URL, schemes: readonly string[]): string | null {
  return schemes.includes(url.protocol) ? null : `only ${schemes.join('// and ')}// is allowed`
}

function checkPrivate(url: URL): string | null {
  const host = hostOf(url.hostname)
  const isMetadata = isIP(host) === 0 ? metadataNames.includes(host) : !isAllowed(host, true)
  return checkScheme(url, ['https:', 'http:']) ?? (isMetadata ? 'a metadata service is never allowed' : null)
}

function checkPublic(url: URL): string | null {
  const reason = checkScheme(url, ['https:'])
  if (reason !== null) return reason
  if (!httpsPorts.includes(url.port)) return 'only the ports 443 and 8443 are allowed'
  return isPublicHost(url.hostname) ? null : 'a private, local or reserved address is not allowed'
}

function isPublicHost(hostname: string): boolean {
  const host = hostOf(hostname)
  if (isIP(host) !== 0) return isPublicAddress(host)
  const names = [...privateNames, ...metadataNames]
  return host.includes('.') && !names.some((name) => host === name || host.endsWith(`.${name}`))
}

/** A host without the brackets of IPv6 and the dot of the root. */
export const hostOf = (hostname: string) => hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

export const isAllowed = (address: string, allow_private: boolean): boolean =>
  allow_private ? !metadata.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6') : isPublicAddress(address)

/** Globally reachable unicast, by the IANA registries of special-purpose addresses. */
function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !special4.check(address, 'ipv4')
  return family === 6 && global6.check(address, 'ipv6') && !special6.check(address, 'ipv6')
}

const special4 = blockList('ipv4', [
  '0.0.0.0/8', // this network (RFC 791)
  '10.0.0.0/8', // private (RFC 1918)
  '100.64.0.0/10', // shared (RFC 6598); Alibaba Cloud's metadata service is 100.100.100.200
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's own, public by its number, inside every virtual machine there
  '169.254.0.0/16', // link-local (RFC 3927); the metadata service of AWS, Azure, Google and Tencent Cloud
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments (RFC 6890); Oracle Cloud's metadata service
  '192.0.2.0/24', // documentation (RFC 5737)
  '192.88.99.0/24', // 6to4 relay (RFC 7526)
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking (RFC 2544)
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and the broadcast address
])

/**
 * The only IPv6 block that global unicast is given from (RFC 4291, IANA). It leaves out loopback, unique
 * local (fc00::/7), link-local, multicast, IPv4-mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96).
 */
const global6 = blockList('ipv6', ['2000::/3'])

const special6 = blockList('ipv6', [
  '2001::/23', // IETF protocol assignments, Teredo among them: an IPv4 address inside
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: an IPv4 address inside
  '3fff::/20', // documentation (RFC 9637)
])

/** Metadata services, which no receiver is: not allowed where private addresses are. IPv4 counts inside IPv6 too. */
const metadata = blockList('ipv4', [
  '169.254.0.0/16',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
])
blockList('ipv6', ['fd00:ec2::/32', 'fe80::/10', '64:ff9b::a9fe:0/112'], metadata)

function blockList(
  family: 'ipv4' | 'ipv6',
  networks: readonly string[],
  list: BlockList = new BlockList(),
): BlockList {
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), family)
  }
  return list
}

export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (body === null) return null
  const parts: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop cancels the stream and closes the connection.
  for await (const part of body) {
    parts.push(part)
    bytes += part.byteLength
    if (bytes >= maxAnswerBytes) break
  }
  return new Uint8Array(Buffer.concat(parts).subarray(0, maxAnswerBytes))
}

export function toOutboundError(error: unknown, timeout_ms: number): OutboundError {
  if (error instanceof OutboundError) return error
  const { cause, name } = error as Error
  if (cause instanceof OutboundError) return cause
  if (name === 'TimeoutError') {
    return new OutboundError('timeout', `no complete answer within ${timeout_ms} ms`, error)
  }
  // The message of a system error holds addresses; its code (ECONNREFUSED, CERT_HAS_EXPIRED) says enough.
  const code = (cause as { code?: unknown } | undefined)?.code
  const detail = typeof code === 'string' ? code : name
  return new OutboundError('failed', `the call failed: ${detail}`, error)
}
