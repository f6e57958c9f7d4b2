import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createOutboundFetch, resolveTarget } from '../../infra/outbound.ts'
import { checkTarget, OutboundError, type OutboundOptions } from '../../infra/targets.ts'

const hostile = [
  // loopback, in every spelling
  'https://127.0.0.1/',
  'https://127.1/',
  'https://127.255.255.254/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0x7f.1/',
  'https://0177.0.0.1/',
  'https://017700000001/',
  'https://127.0.0.1./',
  'https://１２７.0.0.1/',
  'https://①②⑦.⓪.⓪.①/',
  'https://127。0。0。1/',
  'https://%31%32%37.0.0.1/',
  'https:127.0.0.1/',
  'https:\\\\127.0.0.1\\',
  'https:///127.0.0.1/',
  ' https://127.0.0.1/',
  'ht\ttps://127.0.0.1/',
  'https://[::1]/',
  'https://[0:0:0:0:0:0:0:1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::127.0.0.1]/',
  // this host, private networks
  'https://0/',
  'https://0.0.0.0/',
  'https://[::]/',
  'https://10.0.0.1/',
  'https://10.255.255.255/',
  'https://172.16.0.1/',
  'https://172.31.255.255/',
  'https://192.168.1.1/',
  'https://100.64.0.1/',
  'https://[fc00::1]/',
  'https://[fd12:3456:789a::1]/',
  'https://[fe80::1]/',
  'https://[fec0::1]/',
  // metadata services of clouds
  'https://169.254.169.254/latest/meta-data/', // AWS, Azure, Google Cloud
  'https://2852039166/',
  'https://0xa9fea9fe/',
  'https://0251.0376.0251.0376/',
  'https://0xa9.254.0251.254/',
  'https://169.254.43518/',
  'https://169.254.169.254./',
  'https://169.254.0.23/latest/meta-data/', // Tencent Cloud
  'https://metadata.tencentyun.com/latest/meta-data/',
  'https://METADATA.TENCENTYUN.COM./',
  'https://168.63.129.16/machine?comp=goalstate', // Azure's wire server
  'https://[::ffff:168.63.129.16]/',
  'https://100.100.100.200/latest/meta-data/',
  'https://192.0.0.192/opc/v2/',
  'https://[fd00:ec2::254]/latest/meta-data/',
  'https://metadata.google.internal/computeMetadata/v1/',
  'https://metadata.google.internal./',
  // IPv4 inside IPv6
  'https://[64:ff9b::7f00:1]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[64:ff9b:1::1]/',
  'https://[64:ff9b::6464:64c8]/',
  'https://[2002:7f00:1::]/',
  'https://[2002:a9fe:a9fe::]/',
  'https://[2002:6464:64c8::1]/',
  'https://[2001::1]/',
  'https://[::ffff:a9fe:a9fe]/',
  // not unicast, reserved, documentation
  'https://224.0.0.1/',
  'https://239.255.255.250/',
  'https://240.0.0.1/',
  'https://255.255.255.255/',
  'https://192.0.2.1/',
  'https://198.51.100.1/',
  'https://203.0.113.1/',
  'https://198.18.0.1/',
  'https://192.88.99.1/',
  'https://[ff02::1]/',
  'https://[2001:db8::1]/',
  'https://[3fff::1]/',
  'https://[100::1]/',
  // names of this host or network
  'https://localhost/',
  'https://LOCALHOST/',
  'https://localhost./',
  'https://a.localhost/',
  'https://printer.local/',
  'https://vault.internal/',
  'https://router.home.arpa/',
  'https://kubernetes/',
  'https://redis:8443/',
  // schemes, ports, parts that are not allowed
  'http://example.com/',
  'ftp://example.com/',
  'file:///etc/passwd',
  'gopher://example.com/',
  'data:text/plain,a',
  'javascript:alert(1)',
  'unix:/var/run/docker.sock',
  '//example.com/',
  'example.com',
  '',
  'https://',
  'https://exa mple.com/',
  'https://[fe80::1%25eth0]/',
  'https://1.1.1.1.1/',
  'https://example.com:22/',
  'https://example.com:80/',
  'https://example.com:6379/',
  'https://example.com:0/',
  'https://user@example.com/',
  'https://user:hunter2@example.com/',
  'https://:hunter2@example.com/',
  'https://example.com@127.0.0.1/',
  'https://example.com:443@169.254.169.254/',
  'https://example.com%40169.254.169.254@10.0.0.1/',
  'https://@10.0.0.1/',
  'https://example.com#@127.0.0.1/',
  'https://example.com/#',
  `https://example.com/${'a'.repeat(2048)}`,
]

const fine = [
  'https://example.com/hook',
  'https://example.com:443/hook',
  'https://example.com:8443/hook?a=b',
  'https://EXAMPLE.com./hook',
  'https://8.8.8.8/',
  'https://172.32.0.1/',
  'https://100.128.0.1/',
  'https://[2606:4700::1111]/',
  'https://localhost.example.com/',
  'https://xn--bcher-kva.example/',
]

const privateAddresses = [
  [
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '169.254.0.23',
    '168.63.129.16',
    '100.100.100.200',
    '192.168.0.1',
    '0.0.0.0',
    '255.255.255.255',
  ],
  [
    'fd00:ec2::254',
    '::1',
    '::',
    '::ffff:10.0.0.1',
    'fe80::1%eth0',
    'fd00::1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    'nonsense',
  ],
].flat()

function addressOf(address: string): { address: string; family: number } {
  return { address, family: address.includes(':') ? 6 : 4 }
}

async function serve(listener: RequestListener): Promise<{ port: number; calls: string[] }> {
  const calls: string[] = []
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.headers.host}${request.url}`)
    listener(request, response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, calls }
}

const open = (options: Partial<OutboundOptions> = {}) =>
  createOutboundFetch({ allow_private: true, timeout_ms: 10_000, ...options })

describe('a hostile target is refused at registration and at the call', () => {
  test('the table is long enough', () => expect(new Set(hostile).size).toBeGreaterThanOrEqual(60))

  test.each(hostile)('%j', async (url) => {
    const reason = checkTarget(url, { allow_private: false })
    expect(reason).toMatch(/\w/)
    expect(reason).not.toContain('hunter2')
    const call = createOutboundFetch({
      allow_private: false,
      timeout_ms: 10_000,
      resolve: () => Promise.reject(new Error('resolved a hostile target')),
    })
    await expect(call(url)).rejects.toMatchObject({ name: 'OutboundError', code: 'refused', message: reason })
  })
})

test.each(fine)('%s is allowed', (url) => {
  expect(checkTarget(url, { allow_private: false })).toBeNull()
})

describe('a name that leads to a private address is refused at registration and at the call', () => {
  const url = 'https://hook.example.com:8443/'
  const answering = (addresses: readonly string[]) => ({
    allow_private: false,
    resolve: async () => addresses.map(addressOf),
  })

  test.each(privateAddresses)('%s', async (address) => {
    const { port, calls } = await serve((_, response) => response.end())
    for (const addresses of [[address], ['93.184.215.14', address], [address, '93.184.215.14']]) {
      const reason = await resolveTarget(url, answering(addresses))
      const answer = open(answering(addresses))(url)
      await expect(answer).rejects.toMatchObject({ code: 'refused', message: reason })
      await expect(answer).rejects.not.toMatchObject({ message: expect.stringContaining(address) })
    }
    expect(calls, `port ${port}`).toEqual([])
  })

  test('also one that was public when it was registered', async () => {
    const answers = [['93.184.215.14'], ['169.254.169.254']]
    const rebinding = { allow_private: false, resolve: async () => (answers.shift() ?? []).map(addressOf) }
    expect(checkTarget(url, rebinding)).toBeNull()
    expect(await resolveTarget(url, rebinding)).toBeNull()
    await expect(open(rebinding)(url)).rejects.toMatchObject({ code: 'refused' })
  })

  test('a public one, one without an answer now and an address may be registered', async () => {
    expect(await resolveTarget(url, answering(['93.184.215.14', '2606:4700::1111']))).toBeNull()
    expect(await resolveTarget(url, answering([]))).toBeNull()
    const failing = { allow_private: false, resolve: () => Promise.reject(new Error('ENOTFOUND')) }
    expect(await resolveTarget(url, failing)).toBeNull()
    expect(await resolveTarget('https://8.8.8.8/', failing)).toBeNull()
    expect(await resolveTarget('http://127.0.0.1/', { ...failing, allow_private: true })).toBeNull()
  })
})

test('private targets, any port and http are allowed on request, and nothing else more', () => {
  const check = (url: string) => checkTarget(url, { allow_private: true })
  expect(check('http://127.0.0.1:9999/hook')).toBeNull()
  expect(check('http://localhost:1/')).toBeNull()
  for (const url of ['ftp://a/', 'file:///etc/passwd', 'http://u:p@a/', 'http://a/#b', 'http://', 'a']) {
    expect(check(url), url).not.toBeNull()
  }
})

describe('a metadata service is refused also where private targets are allowed', () => {
  const allowed = { allow_private: true }
  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://2852039166/',
    'http://169.254.0.23/',
    'http://100.100.100.200/latest/meta-data/',
    'http://168.63.129.16/machine',
    'http://192.0.0.192/opc/v2/',
    'http://[fd00:ec2::254]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://metadata.google.internal./computeMetadata/v1/',
    'http://metadata.tencentyun.com/',
    'http://metadata/',
  ])('%s', async (url) => {
    expect(checkTarget(url, allowed)).toContain('metadata service')
    await expect(open()(url)).rejects.toMatchObject({ code: 'refused' })
  })

  test('by a name that leads to one, and no other private name', async () => {
    const answering = (address: string) => ({ ...allowed, resolve: async () => [addressOf(address)] })
    const url = 'http://hook.lan:8080/'
    expect(await resolveTarget(url, answering('169.254.169.254'))).toContain('leads to')
    await expect(open(answering('169.254.169.254'))(url)).rejects.toMatchObject({ code: 'refused' })
    expect(await resolveTarget(url, answering('192.168.1.7'))).toBeNull()
  })
})

test('the connection goes to the address that was checked, asked once, with the name as host', async () => {
  const { port, calls } = await serve((_, response) => response.end('ok'))
  const asked: string[] = []
  const call = open({
    resolve: async (hostname) => {
      asked.push(hostname)
      return [addressOf('127.0.0.1')]
    },
  })
  const answer = await call(`http://hook.example.com:${port}/a`, { method: 'POST', body: 'x' })
  expect(await answer.text()).toBe('ok')
  expect(asked).toEqual(['hook.example.com'])
  expect(calls).toEqual([`POST hook.example.com:${port}/a`])
})

test('method, headers and bytes arrive, and the answer comes back', async () => {
  let seen = {}
  const { port } = await serve(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    seen = { body, id: request.headers['webhook-id'], type: request.headers['content-type'] }
    response.writeHead(429, { 'retry-after': '7' }).end('slow down')
  })
  const headers = { 'webhook-id': 'msg_1', 'content-type': 'application/json' }
  const answer = await open()(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: '{"ü":1}' })
  expect(seen).toEqual({ body: '{"ü":1}', id: 'msg_1', type: 'application/json' })
  expect([answer.status, answer.headers.get('retry-after'), await answer.text()]).toEqual([
    429,
    '7',
    'slow down',
  ])
})

test.each([301, 302, 303, 307, 308])('a redirect (%i) is returned and not followed', async (status) => {
  const other = await serve((_, response) => response.end('secret'))
  const location = `http://127.0.0.1:${other.port}/latest/meta-data/`
  const { port, calls } = await serve((_, response) => response.writeHead(status, { location }).end())
  const answer = await open()(`http://127.0.0.1:${port}/a`, { method: 'POST', body: '{}' })
  expect([answer.status, answer.headers.get('location')]).toEqual([status, location])
  expect([calls.length, other.calls]).toEqual([1, []])
})

test.each([204, 304])('an answer without a body (%i) is an answer', async (status) => {
  const { port } = await serve((_, response) => response.writeHead(status).end())
  expect((await open()(`http://127.0.0.1:${port}/`)).status).toBe(status)
})

test('an endless answer is cut at 64 KiB, a compressed one by its open size', async () => {
  const { port } = await serve((request, response) => {
    if (request.url === '/zip') {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000)))
      return
    }
    const more = () => {
      while (response.write('x'.repeat(10_000)));
    }
    response.on('drain', more)
    more()
  })
  for (const path of ['/', '/zip']) {
    const answer = await open()(`http://127.0.0.1:${port}${path}`)
    expect((await answer.arrayBuffer()).byteLength).toBe(65_536)
  }
})

test.each(['never answers', 'answers forever, a byte at a time'])(
  'a receiver that %s is left',
  async (how) => {
    const { port } = await serve((_, response) => {
      if (how === 'never answers') return
      response.writeHead(200)
      const timer = setInterval(() => response.write('x'), 5)
      response.on('close', () => clearInterval(timer))
    })
    const call = open({ timeout_ms: 200 })
    await expect(call(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'timeout' })
  },
)

test("the caller's signal ends a call", async () => {
  const { port } = await serve(() => {})
  const ending = new AbortController()
  const call = open()(`http://127.0.0.1:${port}/`, { signal: ending.signal })
  ending.abort()
  await expect(call).rejects.toBeInstanceOf(OutboundError)
})

test('a failure tells its code and no address', async () => {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  const closed = open({ resolve: async () => [addressOf('127.0.0.1')] })
  await expect(closed(`http://hook.example.com:${port}/`)).rejects.toMatchObject({
    code: 'failed',
    message: 'the call failed: ECONNREFUSED',
  })
  const nameless = open({ resolve: async () => [] })
  await expect(nameless('http://hook.example.com/')).rejects.toMatchObject({ code: 'failed' })
  const unknown = open({ resolve: () => Promise.reject(Object.assign(new Error(), { code: 'ENOTFOUND' })) })
  await expect(unknown('http://hook.example.com/')).rejects.toMatchObject({
    message: 'the call failed: ENOTFOUND',
  })
})

test('the proxy of the environment is not used', async () => {
  const proxy = await serve((_, response) => response.end('proxy'))
  const { port } = await serve((_, response) => response.end('receiver'))
  process.env['HTTP_PROXY'] = `http://127.0.0.1:${proxy.port}`
  process.env['NODE_USE_ENV_PROXY'] = '1'
  onTestFinished(() => {
    delete process.env['HTTP_PROXY']
    delete process.env['NODE_USE_ENV_PROXY']
  })
  expect(await (await open()(`http://127.0.0.1:${port}/`)).text()).toBe('receiver')
  expect(proxy.calls).toEqual([])
})
