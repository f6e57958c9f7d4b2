// A desk for end-to-end tests: a server as a process, a webhook receiver, and what a client asks.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogLine } from '../../jobs/logs.ts'
import type { JobView } from '../../jobs/view.ts'
import { patience_ms } from './patience.ts'
import { freePort, type RunningServer, startServer } from './server.ts'

export type Desk = Awaited<ReturnType<typeof openDesk>>

/** `image`: of a migrated database (PGlite's dump), which the server finds in its folder; without one its first start makes it. */
export async function openDesk(env: Record<string, string> = {}, image: Buffer | null = null) {
  const folder = mkdtempSync(join(tmpdir(), 'berth-desk-'))
  if (image !== null) unpack(image, join(folder, 'pg'))
  const port = await freePort()
  const hooks: { id: string; headers: Record<string, string>; body: string }[] = []
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const headers = request.headers as Record<string, string>
      hooks.push({ id: headers['webhook-id'] ?? '', headers, body: Buffer.concat(chunks).toString() })
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  const hook_url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  let server: RunningServer = await startServer(folder, port, env)
  const request = (path: string, init: RequestInit = {}) =>
    fetch(`${server.url}${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${server.key}`,
        'content-type': 'application/json',
        ...(init.headers as Record<string, string>),
      },
    })
  const get = async <Body>(path: string) => (await (await request(path)).json()) as Body
  return {
    folder,
    hooks,
    hook_url,
    request,
    get,
    server: () => server,
    async submit(spec: object): Promise<JobView> {
      const answer = await request('/v1/jobs', { method: 'POST', body: JSON.stringify(spec) })
      if (answer.status !== 201) throw new Error(`submit answered ${answer.status}: ${await answer.text()}`)
      return (await answer.json()) as JobView
    },
    /** Waits until the job has ended and nothing of it is left. */
    async ended(id: string, bound_ms = patience_ms): Promise<JobView> {
      for (const until = Date.now() + bound_ms; ;) {
        const job = await get<JobView>(`/v1/jobs/${id}?wait_s=2`)
        if (job.finished_at !== null && job.cost.final) return job
        if (Date.now() > until) throw new Error(`the job has not ended: ${JSON.stringify(job)}`)
        await new Promise((done) => setTimeout(done, 100))
      }
    },
    /** Waits for something to become true. */
    async until(holds: () => boolean | Promise<boolean>): Promise<void> {
      for (const until = Date.now() + patience_ms; !(await holds());) {
        if (Date.now() > until) throw new Error('it did not become true')
        await new Promise((done) => setTimeout(done, 50))
      }
    },
    log: async (id: string) => (await get<{ items: LogLine[] }>(`/v1/jobs/${id}/logs?limit=1000`)).items,
    async restart(): Promise<void> {
      await server.kill()
      server = await startServer(folder, port, env)
    },
    /** Pids of runners whose folder says that they are alive. */
    runners(): number[] {
      const local = join(folder, 'local')
      return readdirSync(local, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap((entry) => pidOf(join(local, entry.name, 'pid.json')))
    },
    async [Symbol.asyncDispose]() {
      await server.stop()
      receiver.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function unpack(image: Buffer, folder: string): void {
  mkdirSync(folder, { mode: 0o700 })
  const { status, stderr } = spawnSync('tar', ['--extract', '--directory', folder], { input: image })
  if (status !== 0) throw new Error(`tar: ${String(stderr)}`)
}

function pidOf(file: string): number[] {
  try {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number }
    process.kill(pid, 0)
    return [pid]
  } catch {
    return []
  }
}

/** A real backtest on real prices. */
export function realBacktest(more: Record<string, unknown> = {}) {
  return {
    kind: 'backtest',
    // Equal jobs of tests are to run, each of them.
    cache: false,
    params: {
      data: { dataset: 'sample:sp500-20', symbols: ['AAPL', 'MSFT'], start: '2010-01-01', end: '2019-12-31' },
      strategy: { name: 'sma_cross' },
      parameters: { fast: { range: [5, 20, 5] }, slow: { range: [40, 240, 20] } },
      execution: { fill: 'next_close', fee_bps: 10, slippage_bps: 5 },
    },
    ...more,
  }
}
