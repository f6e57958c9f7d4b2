// A scripted Berth for real runners: one spec for all, and everything that they said, by attempt.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Said {
  reports: Record<string, unknown>[]
  /** Log text by stream. */
  log: Record<string, string>
  files: Map<string, string>
}

export interface RunnerServer {
  url: () => string
  said(attempt_id: string): Said
  /** Merged into the spec that every attempt gets. */
  spec: Record<string, unknown>
  /** Merged into every answer. */
  answer: Record<string, unknown>
  start(): Promise<string>
  stop(): Promise<void>
}

const body_max_bytes = 8 * 1024 * 1024

export function createRunnerServer(): RunnerServer {
  const attempts = new Map<string, Said>()
  const chunks = new Set<string>()
  let server: Server | null = null

  const said = (attempt_id: string): Said => {
    const known = attempts.get(attempt_id) ?? { reports: [], log: {}, files: new Map<string, string>() }
    attempts.set(attempt_id, known)
    return known
  }

  const take = (method: string, path: string, body: string): object | null => {
    const [, attempt_id = '', rest = ''] = /^\/v1\/attempts\/(\w+)\/(.*)$/.exec(path) ?? []
    const attempt = said(attempt_id)
    if (rest === 'spec') return { ...defaultSpec, ...self.spec }
    if (method === 'PUT') {
      attempt.files.set(rest.replace('artifacts/', ''), body)
      return {}
    }
    const value = JSON.parse(body) as { names?: string[]; number: number; stream: string; text: string }
    if (rest === 'report') attempt.reports.push({ ...value })
    else if (rest === 'urls') {
      const url = `/v1/attempts/${attempt_id}/artifacts/`
      return { targets: value.names?.map((name) => ({ name, method: 'PUT', url: url + name, headers: {} })) }
    } else if (rest === 'logs' && !chunks.has(`${attempt_id}/${value.number}`)) {
      chunks.add(`${attempt_id}/${value.number}`)
      attempt.log[value.stream] = (attempt.log[value.stream] ?? '') + value.text
    }
    return {}
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const block of request) {
      body += String(block)
      if (body.length > body_max_bytes) return void response.writeHead(413).end()
    }
    const answer = take(request.method ?? '', request.url ?? '', body)
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ ...answer, ...self.answer }))
  }

  const self: RunnerServer = {
    spec: {},
    answer: {},
    said,
    url: () => `http://127.0.0.1:${(server?.address() as AddressInfo | null)?.port ?? 1}`,
    async start() {
      const started = createServer((request, response) => {
        serve(request, response).catch(() => response.destroy())
      })
      server = started
      await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
      return self.url()
    },
    async stop() {
      const stopped = server
      server = null
      if (stopped === null) return
      stopped.closeAllConnections()
      await new Promise((resolve) => stopped.close(resolve))
    },
  }
  return self
}

const defaultSpec = {
  kind: 'backtest',
  params: {},
  device: 'cpu',
  shard: { index: 0, of: 1, role: 'work' },
  inputs: [],
  checkpoint: null,
  timeout_s: 3_600,
  grace_ms: 1000,
}
