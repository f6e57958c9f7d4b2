// Clients that begin and never end hold nobody up, and are cut.
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { listen } from '../../infra/listen.ts'
import { openSlowClients } from '../support/slow-clients.ts'
import { openTestWorld, type World } from '../support/world.ts'

async function serve(world: World) {
  const app = createApp(world.deps)
  const { address, close } = await listen(
    { host: '127.0.0.1', port: 0, tls: null },
    app.fetch,
    world.deps.log,
  )
  return { address, [Symbol.dispose]: () => void close() }
}

test('beside 60 clients that never end their request others are served', async () => {
  await using world = await openTestWorld()
  using served = await serve(world)
  using slow = await openSlowClients(served.address, world.key, 60)
  slow.drip()
  const headers = { authorization: `Bearer ${world.key}` }
  for (let n = 0; n < 20; n++)
    expect((await fetch(`${served.address}/v1/jobs`, { headers })).status).toBe(200)
  slow.drip()
  expect(slow.open()).toBe(60)
})

test('who does not end the headers is told so and cut', async () => {
  const { address, close } = await listen(
    { host: '127.0.0.1', port: 0, tls: null },
    () => new Response('served'),
    () => undefined,
    { headers_ms: 20, check_ms: 20 },
  )
  const socket = connect(Number(new URL(address).port), '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n'))
  const told = await new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (part) => (text += String(part))).on('close', () => resolve(text))
  })
  expect(told).toMatch(/^HTTP\/1.1 408 [^]*"code":"too_slow"/)
  await close()
})
