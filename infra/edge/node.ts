// node dist/edge/node.mjs: where a platform wants one small file, and the vendors' SDKs are elsewhere.
import { createConsoleLog } from './log.ts'
import { listen } from '../listen.ts'
import { main } from './served.ts'

await main(async ({ hostname: host, port }, answer) => {
  const fetch = (request: Request, bindings?: object) => {
    const { incoming } = bindings as { incoming?: { socket?: { remoteAddress?: string } } }
    return answer(request, incoming?.socket?.remoteAddress ?? null)
  }
  return listen({ host, port, tls: null }, fetch, createConsoleLog('info'))
})
