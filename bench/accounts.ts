// `npm run bench -- accounts [--starts 5]`: what five configured accounts add to a server: until it is ready, and in memory once it has asked
// each for its offers. The clouds are fakes on this machine.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openNomad, nomadToken } from '../test/support/nomad-subject.ts'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { type Measured, type Measurement, option, percentile, rounded } from './measurement.ts'
import { residentMib } from './support/processes.ts'

const accounts = 5
/** The first look at the accounts, and what it loads, are over by then. */
const settle_ms = 8_000
const shape = { id: 'cpu-2', cpu: 2, memory_gib: 4, disk_gib: 20, usd_per_hour: 0.08 }

export const measure: Measurement = async (options): Promise<Measured> => {
  const starts = option(options, 'starts', 5)
  const nomad = await openNomad()
  const [bare, filled] = [
    mkdtempSync(join(tmpdir(), 'berth-bench-')),
    mkdtempSync(join(tmpdir(), 'berth-bench-')),
  ]
  try {
    const server = await started(filled)
    for (let n = 0; n < accounts; n++) await add(server.server, n, nomad.url)
    await server.server.stop()
    const seen = { bare: [] as Start[], filled: [] as Start[] }
    await (await started(bare)).server.stop()
    for (let n = 0; n < starts; n++)
      for (const [name, folder] of [
        ['bare', bare],
        ['filled', filled],
      ] as const) {
        const { server: running, ms } = await started(folder)
        await new Promise((done) => setTimeout(done, settle_ms))
        seen[name].push({ ms, mib: residentMib(running.child.pid ?? 0) })
        await running.stop()
      }
    const middle = (of: readonly Start[], by: keyof Start) =>
      percentile(
        of.map((each) => each[by]),
        0.5,
      )
    return {
      figures: {
        accounts,
        starts,
        ready_ms: rounded(middle(seen.bare, 'ms'), 0),
        adds_ms: rounded(middle(seen.filled, 'ms') - middle(seen.bare, 'ms'), 0),
        resident_mib: middle(seen.bare, 'mib'),
        adds_mib: middle(seen.filled, 'mib') - middle(seen.bare, 'mib'),
      },
      targets: {},
    }
  } finally {
    await nomad.close()
    for (const folder of [bare, filled]) rmSync(folder, { recursive: true, force: true })
  }
}

interface Start {
  ms: number
  mib: number
}

async function started(folder: string): Promise<{ server: RunningServer; ms: number }> {
  const port = await freePort()
  const began = performance.now()
  const env = { BERTH_PUBLIC_URL: `http://127.0.0.1:${port}`, BERTH_LOG_LEVEL: 'error' }
  const server = await startServer(folder, port, env)
  return { server, ms: performance.now() - began }
}

async function add({ url, key }: RunningServer, n: number, nomad_url: string): Promise<void> {
  const answer = await fetch(`${url}/v1/provider-accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      provider: 'nomad',
      account: `account-${n}`,
      settings: { url: nomad_url, shapes: [shape] },
      credentials: { token: nomadToken },
    }),
  })
  if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`)
}
