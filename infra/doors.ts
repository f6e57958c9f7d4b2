// Where connections come in. In each turn of its loop Node takes one new connection from each socket that listens (libuv since
// 1.45), and a turn of a busy server takes tens of milliseconds. By one socket alone the clients of a server that died would come to
// another for seconds, and a balancer's question whether it is ready would stand behind them.
import { once } from 'node:events'
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net'

/** New connections in one turn. */
const doors = 8

export interface Doors {
  /** Where they are; with port 0 the system has chosen one. */
  at: AddressInfo
  /** Takes no new connections; resolves when all that came in have ended. */
  close: () => Promise<void>
  /** Ends those that are left, also who has not yet said a word of TLS. */
  cut: () => void
}

/** Lets a server that does not listen yet take connections at an address. Rejects with Node's error, EADDRINUSE among them. */
export async function openDoors(
  server: Server,
  { host, port, tls }: { host: string; port: number; tls: boolean },
): Promise<Doors> {
  const free = port === 0 ? (await tried({ host, port })).port : port
  // Sockets that share an address would share it with another server's too, and nobody would be told: it must be free, and who else
  // begins at this moment is refused.
  const claim = await claimed(free)
  try {
    await tried({ host, port: free })
    const shares = claim !== null && (await canShare({ host, port: free }))
    return await openAll(server, { host, port: free, reusePort: shares }, tls)
  } finally {
    await claim?.()
  }
}

async function openAll(server: Server, where: Where, tls: boolean): Promise<Doors> {
  const others = Array.from({ length: where.reusePort ? doors - 1 : 0 }, () =>
    createServer({ allowHalfOpen: !tls, noDelay: true }, (socket) => server.emit('connection', socket)),
  )
  const all = [server, ...others]
  const cut = cutting(server)
  try {
    const [at] = await Promise.all(all.map((each) => listenAt(each, where)))
    return { at: at as AddressInfo, close: closing(all), cut }
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

/** Linux and some others spread connections over the sockets of one address; elsewhere there is one. */
const canShare = (where: Where): Promise<boolean> =>
  tried({ ...where, reusePort: true }).then(
    () => true,
    () => false,
  )

/**
 * Holds a port among the servers of Berth while they begin: Linux has names of sockets that are no files, one holder each in a network,
 * and ends them with their process. Answers how to give it back; null: there are none here. Rejects with EADDRINUSE.
 */
async function claimed(port: number): Promise<(() => Promise<void>) | null> {
  const server = createServer()
  try {
    await listenAt(server, { path: `\0berth begins at ${port}` })
    return closing([server])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw error
    return null
  }
}

/** Listens for a moment; rejects where that cannot be. It is closed in the same turn of the loop: nobody is taken in. */
async function tried(where: Where): Promise<AddressInfo> {
  const server = createServer()
  const at = await listenAt(server, where)
  await closing([server])()
  return at
}

async function listenAt(server: Server, where: ListenOptions): Promise<AddressInfo> {
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

/** By the connections themselves: a server of TLS knows only those of which the handshake is over. */
function cutting(server: Server): () => void {
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return () => {
    for (const socket of open) socket.destroy()
  }
}
