// Clients that begin a request and never end it.
import { connect, type Socket } from 'node:net'

/** What each of them has sent by the time it falls silent, in turn. */
const kinds = [
  // Half of its headers.
  () => 'GET /v1/jobs HTTP/1.1\r\nHost: slow\r\nX-Slow: ',
  // Half of a log-in, which anybody may begin.
  () => head('/v1/auth/login', '') + '{"email": "slow@',
  // Half of a job, with a key.
  (key: string) => head('/v1/jobs', `Authorization: Bearer ${key}\r\n`) + '{"kind": ',
] as const

const head = (path: string, more: string) =>
  `POST ${path} HTTP/1.1\r\nHost: slow\r\n${more}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`

export interface SlowClients {
  /** Sends one more byte from each. */
  drip: () => void
  /** Those that the server has not cut. */
  open: () => number
  [Symbol.dispose]: () => void
}

/** Opens so many, each when the server has taken the one before; resolves when all have sent their beginning. */
export async function openSlowClients(url: string, key: string, count: number): Promise<SlowClients> {
  const { hostname, port } = new URL(url)
  const sockets: Socket[] = []
  for (let n = 0; n < count; n++) {
    const socket = connect(Number(port), hostname)
    // It is cut when the server has had enough of it.
    socket.on('error', () => undefined).resume()
    await new Promise<void>((resolve, reject) => {
      socket.once('close', () => reject(new Error(`the server takes no more than ${n} connections`)))
      socket.once('connect', () => socket.write(kinds[n % kinds.length]?.(key) ?? '', () => resolve()))
    })
    sockets.push(socket)
  }
  return {
    drip: () => {
      for (const socket of sockets) if (socket.writable) socket.write('x')
    },
    open: () => sockets.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded).length,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}
