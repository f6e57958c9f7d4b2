// TLS without a proxy: version 1.3 alone, and a certificate that is renewed while the server serves.
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { listen } from '../../infra/listen.ts'
import { newFolder } from './new-folder.ts'

/** A certificate for localhost and its key, by openssl. */
function certificate(folder: string, name: string) {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const how = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  execFileSync('openssl', [...how, ...subject, '-keyout', files.key, '-out', files.cert], { stdio: 'ignore' })
  return files
}

/** The certificate that a server shows, and what it answers. */
async function ask(address: string, ca: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    request(`${address}/x`, { ca, agent: false }, (answer) => {
      let text = ''
      answer.on('data', (part) => (text += String(part)))
      answer.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
}

const speaks = (port: number, ca: Buffer, version: 'TLSv1.2' | 'TLSv1.3') =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, ca, minVersion: version, maxVersion: version })
    socket.on('secureConnect', () => (socket.end(), resolve(true)))
    socket.on('error', () => resolve(false))
  })

test('the server speaks TLS 1.3 and nothing older, and goes by a new certificate at SIGHUP', async () => {
  const folder = newFolder()
  const tls = certificate(folder, 'first')
  const second = certificate(folder, 'second')
  const [old, renewed] = [readFileSync(tls.cert), readFileSync(second.cert)]
  const logged: string[] = []
  const { address, close } = await listen(
    { host: '127.0.0.1', port: 0, tls },
    () => new Response('served'),
    (_, message) => void logged.push(message),
  )
  try {
    const port = Number(new URL(address).port)
    expect(address).toMatch(/^https:/)
    expect(await ask(address, old)).toBe('served')
    expect([await speaks(port, old, 'TLSv1.3'), await speaks(port, old, 'TLSv1.2')]).toEqual([true, false])
    copyFileSync(second.cert, tls.cert)
    copyFileSync(second.key, tls.key)
    process.emit('SIGHUP')
    expect(await ask(address, renewed)).toBe('served')
    writeFileSync(tls.cert, 'cut off')
    process.emit('SIGHUP')
    expect(await ask(address, renewed)).toBe('served')
    expect(logged).toEqual([
      'the certificate was read again',
      'the new certificate cannot be used: the old one is',
    ])
  } finally {
    await close()
  }
})

/** All that comes back for bytes on a connection of their own. */
const answerTo = (port: number, bytes: string) =>
  new Promise<string>((resolve, reject) => {
    const socket = connectPlain(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (part) => (text += String(part)))
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })

test('headers past their bound, and what is no HTTP, are refused with what is wrong, and the connection is closed', async () => {
  const { address, close } = await listen(
    { host: '127.0.0.1', port: 0, tls: null },
    () => new Response('served'),
    () => undefined,
  )
  try {
    const port = Number(new URL(address).port)
    const get = (header: string) => `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n\r\n`
    expect(await answerTo(port, get(`X-Long: ${'x'.repeat(15_000)}`))).toMatch(/^HTTP\/1.1 200 [^]*served/)
    const tooLarge = await answerTo(port, get(`X-Long: ${'x'.repeat(17_000)}`))
    expect(tooLarge).toMatch(/^HTTP\/1.1 431 [^]*application\/problem\+json[^]*at most 16384 bytes/)
    const many = Array.from({ length: 3_000 }, (_, n) => `X-${n}: 1`).join('\r\n')
    expect(await answerTo(port, get(many))).toMatch(/^HTTP\/1.1 431 [^]*"code":"headers_too_large"/)
    expect(await answerTo(port, 'HELO there\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [^]*"malformed_request"/)
  } finally {
    await close()
  }
})

test.skipIf(process.platform !== 'linux')(
  'a busy server takes several new connections in each turn of its loop',
  async () => {
    const clients = 64
    const served = Promise.withResolvers<void>()
    let count = 0
    const { address, close } = await listen(
      { host: '127.0.0.1', port: 0, tls: null },
      () => {
        if (++count === clients) served.resolve()
        return new Response('served')
      },
      () => undefined,
    )
    // All of them connect and ask while this process does nothing, as it would in a long turn.
    const ask = `const { connect } = require('node:net')
      let left = ${clients}
      for (let n = 0; n < ${clients}; n++) {
        const socket = connect(${new URL(address).port}, '127.0.0.1')
        socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n', () => --left === 0 && process.exit())
      }`
    execFileSync(process.execPath, ['--eval', ask])
    let turns = 0
    const turning = { on: true }
    const turn = () => {
      turns++
      if (turning.on) setImmediate(turn)
    }
    setImmediate(turn)
    await served.promise
    turning.on = false
    expect(turns).toBeLessThan(clients * 0.75)
    await close()
  },
)

test('of two servers that begin at one moment on one port one is refused', async () => {
  const at = (port: number) =>
    listen(
      { host: '127.0.0.1', port, tls: null },
      () => new Response('served'),
      () => undefined,
    )
  // The second begins so many steps after the first, wherever that stands then.
  for (let steps = 0; steps < 20; steps++) {
    const free = await at(0)
    const port = Number(new URL(free.address).port)
    await free.close()
    const first = at(port)
    for (let step = 0; step < steps; step++) await new Promise((resolve) => process.nextTick(resolve))
    const both = await Promise.allSettled([first, at(port)])
    const [one] = both.filter((each) => each.status === 'fulfilled')
    const refused = both.filter((each) => each.status === 'rejected').map(({ reason }) => String(reason))
    expect(refused, `${steps} steps after`).toEqual([expect.stringMatching(/is in use: set BERTH_PORT/)])
    await one?.value.close()
  }
})

test('a server that stops ends each connection with the answer that is under way on it', async () => {
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<Response>()
  const { address, close } = await listen(
    { host: '127.0.0.1', port: 0, tls: null },
    () => {
      asked.resolve()
      return answer.promise
    },
    () => undefined,
  )
  // It keeps connections for its next requests.
  const waiting = fetch(address)
  await asked.promise
  const closed = close()
  answer.resolve(new Response('served'))
  const { headers, status } = await waiting
  expect([status, headers.get('connection')]).toEqual([200, 'close'])
  await closed
})

test('who has begun no TLS, and who waits for an answer, is cut with the others', async () => {
  const tls = certificate(newFolder(), 'cut')
  const asked = Promise.withResolvers<void>()
  const { address, close, cut } = await listen(
    { host: '127.0.0.1', port: 0, tls },
    () => {
      asked.resolve()
      return new Promise(() => undefined)
    },
    () => undefined,
  )
  const port = Number(new URL(address).port)
  const ended = Promise.withResolvers<void>()
  connectPlain(port, '127.0.0.1')
    .on('close', () => ended.resolve())
    .on('error', () => undefined)
  const waiting = ask(address, readFileSync(tls.cert)).then(
    () => 'answered',
    () => 'cut',
  )
  await asked.promise
  const closed = close()
  cut()
  await Promise.all([closed, ended.promise])
  expect(await waiting).toBe('cut')
})

test('a port that another server listens on is refused with what to do', async () => {
  const at = (port: number) =>
    listen(
      { host: '127.0.0.1', port, tls: null },
      () => new Response('served'),
      () => undefined,
    )
  const { address, close } = await at(0)
  await expect(at(Number(new URL(address).port))).rejects.toThrow(/is in use: set BERTH_PORT/)
  await close()
  const again = await at(Number(new URL(address).port))
  await again.close()
})
