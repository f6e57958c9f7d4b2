// Where connections come in. In each turn of its loop Node takes one new connection from each socket that listens (libuv since
// 1.45), and a turn of a busy server takes tens of milliseconds. By one socket alone the clients of a server that died would come to
// another for seconds, and a balancer's question whether it is ready would stand behind them.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'

/** New connections in one turn. */
const doors = 8

export interface Doors {
  /** Where they are; with port 0 the system has chosen one. */
  at: AddressInfo
  /** Takes no new connections; resolves when all that came in have ended. */
  close: () => Promise<void>
}

/** Lets a server that does not listen yet take connections at an address. Rejects with Node's error, EADDRINUSE among them. */
export async function openDoors(
  server: Server,
  { host, port, tls }: { host: string; port: number; tls: boolean },
): Promise<Doors> {
  // Sockets that share an address would share it with another server's too, and nobody would be told: it must be free before.
  const { port: free } = await tried({ host, port })
  // Linux and some others spread connections over the sockets of one address; elsewhere there is one.
  const shares = await tried({ host, port: free, reusePort: true }).then(
    () => true,
    () => false,
  )
  const others = Array.from({ length: shares ? doors - 1 : 0 }, () =>
    createServer({ allowHalfOpen: !tls, noDelay: true }, (socket) => server.emit('connection', socket)),
  )
  const all = [server, ...others]
  try {
    const [at] = await Promise.all(all.map((each) => listenAt(each, { host, port: free, reusePort: shares })))
    return { at: at as AddressInfo, close: closing(all) }
  } catch (error) {
    for (const each of all) each.close()
    throw error
  }
}

interface Where {
  host: string
  port: number
  reusePort?: boolean
}

/** Listens for a moment; rejects where that cannot be. It is closed in the same turn of the loop: nobody is taken in. */
async function tried(where: Where): Promise<AddressInfo> {
  const server = createServer()
  const at = await listenAt(server, where)
  await closing([server])()
  return at
}

async function listenAt(server: Server, where: Where): Promise<AddressInfo> {
  server.listen(where)
  await once(server, 'listening')
  return server.address() as AddressInfo
}

const closing = (servers: readonly Server[]) => async () => {
  await Promise.all(
    servers.map((server) => {
      const closed = once(server, 'close')
      server.close()
      return closed
    }),
  )
}
