// Where a request comes from: nobody is believed but the proxies that are named.
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { addressOf } from '../../functions/_address.ts'
import type { Env } from '../../functions/_env.ts'
import { proxiesOf } from '../../infra/proxies.ts'

async function seen(peer: string | null, forwarded: string | null, nets: string[]) {
  const app = new Hono<Env>()
  app.get('/', (c) => c.text(String(addressOf(c, proxiesOf(nets)))))
  const headers: Record<string, string> = forwarded === null ? {} : { 'x-forwarded-for': forwarded }
  const env = peer === null ? {} : { incoming: { socket: { remoteAddress: peer } } }
  return (await app.request('/', { headers }, env)).text()
}

test.each([
  ['no proxy is named', '10.0.0.1', '203.0.113.9', [], '10.0.0.1'],
  ['a stranger says who they are', '198.51.100.7', '203.0.113.9', ['10.0.0.0/8'], '198.51.100.7'],
  ['a proxy says for whom it speaks', '10.0.0.1', '203.0.113.9', ['10.0.0.0/8'], '203.0.113.9'],
  ['what the client said before', '10.0.0.1', '1.2.3.4, 203.0.113.9', ['10.0.0.0/8'], '203.0.113.9'],
  ['a proxy behind a proxy', '10.0.0.1', '203.0.113.9, 10.0.0.2', ['10.0.0.0/8'], '203.0.113.9'],
  ['a proxy that says nothing', '10.0.0.1', null, ['10.0.0.0/8'], '10.0.0.1'],
  ['a proxy that says nonsense', '10.0.0.1', 'unknown, <script>', ['10.0.0.0/8'], '10.0.0.1'],
  ['a dual-stack socket', '::ffff:10.0.0.1', '::ffff:203.0.113.9', ['10.0.0.0/8'], '203.0.113.9'],
  ['IPv6', '2001:db8::1', '2001:db8:1::7', ['2001:db8::/64'], '2001:db8:1::7'],
  ['no sockets', null, '203.0.113.9', ['10.0.0.0/8'], 'null'],
])('%s', async (_, peer, forwarded, nets, address) => {
  expect(await seen(peer, forwarded, nets)).toBe(address)
})
