// One address before several servers, as a balancer of TCP is: each new connection goes to the next server that is ready, and to another
// where it cannot be made. What breaks in the middle breaks for the client too.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Spreader {
  url: string
  /** Those that take connections from now on. */
  servers: (urls: readonly string[]) => void
  /** Connections that went to a server, by its address. */
  taken: Map<string, number>
  close: () => void
}

/** How often servers are asked, as balancers do every second or so. */
const look_ms = 200
/** A server that does not say so in this time, so many times in a row, is not ready. */
const ready_ms = 1_000
const mostMissed = 3

export async function openSpreader(): Promise<Spreader> {
  let all: readonly string[] = []
  const ready = new Set<string>()
  const missed = new Map<string, number>()
  const taken = new Map<string, number>()
  const open = new Set<Socket>()
  let turn = 0
  const look = async () => {
    await Promise.all(
      all.map(async (url) => {
        const isReady = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(ready_ms) }).then(
          ({ ok }) => ok,
          () => false,
        )
        missed.set(url, isReady ? 0 : (missed.get(url) ?? 0) + 1)
        if (isReady && all.includes(url)) ready.add(url)
        else if ((missed.get(url) ?? 0) >= mostMissed) ready.delete(url)
      }),
    )
  }
  const looking = setInterval(() => void look(), look_ms)
  const server = createServer((client) => {
    // Where none says that it is, one that is slow is better than nobody.
    const order = ready.size > 0 ? [...ready] : [...all]
    const first = turn++
    const choices = order.map((_, index) => order[(first + index) % order.length] ?? '')
    open.add(client)
    client.on('close', () => open.delete(client)).on('error', () => client.destroy())
    pass(client, choices)
  })
  const pass = (client: Socket, [url, ...others]: string[]): void => {
    if (url === undefined) return void client.destroy()
    const { hostname, port } = new URL(url)
    const upstream = connect(Number(port), hostname)
    let isThrough = false
    upstream.once('connect', () => {
      isThrough = true
      taken.set(url, (taken.get(url) ?? 0) + 1)
      client.pipe(upstream).pipe(client)
    })
    upstream.on('error', () => {
      if (isThrough) return client.destroy()
      ready.delete(url)
      pass(client, others)
    })
    upstream.on('close', () => isThrough && client.destroy())
    client.on('close', () => upstream.destroy())
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    servers(urls) {
      all = urls
      for (const url of ready) if (!all.includes(url)) ready.delete(url)
      // They have said that they are ready.
      for (const url of all) ready.add(url)
    },
    taken,
    close() {
      clearInterval(looking)
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
