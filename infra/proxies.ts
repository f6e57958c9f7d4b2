import { BlockList, isIP } from 'node:net'

/** `10.0.0.0/8`, `::1`: null for what is neither an address nor a net. */
export function parseNet(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | null {
  const [address = '', length, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return null
  const most = version === 4 ? 32 : 128
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : -1
  return bits >= 0 && bits <= most ? { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' } : null
}

/** Whether an address is one of the proxies that are named: none is guessed. */
export function proxiesOf(nets: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const net of nets.flatMap((text) => parseNet(text) ?? []))
    list.addSubnet(net.address, net.bits, net.family)
  return (address) => {
    const version = isIP(address)
    return version !== 0 && nets.length > 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
}
