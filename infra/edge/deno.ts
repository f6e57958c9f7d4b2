// deno run --allow-net --allow-env --allow-sys dist/edge/deno.mjs
import { main } from './served.ts'

/** What is used of https://docs.deno.com/api/deno/~/Deno.serve */
declare const Deno: {
  serve: (
    options: { hostname: string; port: number; onListen: () => void },
    answer: (request: Request, info: { remoteAddr: { hostname: string } }) => Promise<Response>,
  ) => { addr: { port: number }; shutdown: () => Promise<void>; finished: Promise<void> }
}

await main(async ({ hostname, port }, answer) => {
  const server = Deno.serve({ hostname, port, onListen: () => undefined }, (request, { remoteAddr }) =>
    answer(request, remoteAddr.hostname),
  )
  return {
    address: `http://${hostname}:${server.addr.port}`,
    close: () => server.shutdown(),
    cut: () => process.exit(0),
  }
})
