// bun dist/edge/bun.mjs
import { main } from './served.ts'

/** What is used of https://bun.com/docs/runtime/http/server */
interface Server {
  port: number
  requestIP: (request: Request) => { address: string } | null
  stop: (cut?: boolean) => Promise<void>
}
declare const Bun: {
  serve: (options: {
    hostname: string
    port: number
    /** Seconds without a byte; a quiet stream speaks every fifteen. */
    idleTimeout: number
    fetch: (request: Request, server: Server) => Promise<Response>
  }) => Server
}

const idle_s = 60

await main(async ({ hostname, port }, answer) => {
  const server = Bun.serve({
    hostname,
    port,
    idleTimeout: idle_s,
    fetch: (request, own) => answer(request, own.requestIP(request)?.address ?? null),
  })
  return {
    address: `http://${hostname}:${server.port}`,
    close: () => server.stop(),
    cut: () => void server.stop(true),
  }
})
