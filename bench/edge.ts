// `npm run bench -- edge [--rounds 15]`: cold starts of the edge function. From the start of the program to its first answer that
// needed the database, in turns over the runtimes; of workerd also what is left when an empty worker's start is taken off it, which is
// what a start in an isolate of a running workerd costs. The same with a list of jobs as the first answer, for which a key is looked up
// and more of the program is loaded.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildEdges, type EdgeRuntime } from '../infra/edge/build.ts'
import { migrate, openDatabase } from '../infra/db.ts'
import { commandOf, edgeBinary, noRuntime, workerdConfig } from '../test/support/edge-runtimes.ts'
import { openEdgeWorld } from '../test/support/edge-world.ts'
import { openLambda } from '../test/support/lambda.ts'
import { freePort } from '../test/support/server.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds } from './support/processes.ts'

/** A bound against a hang. */
const answer_ms = 30_000

export const measure: Measurement = async (options) => {
  const rounds = option(options, 'rounds', 15)
  const [load_before = 0] = loadavg()
  for (const runtime of ['workerd', 'deno', 'bun'] as const) {
    const why = noRuntime(runtime)
    if (why !== null) throw new Error(`${why}; by hand: node infra/edge-runtimes-env.mjs`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-edge-'))
  await using postgres = await startPostgres()
  const { db, close } = await openDatabase({ database_url: postgres.database_url, data_dir: '' })
  await migrate(db)
  await close()
  const world = await openEdgeWorld(postgres.database_url)
  const env = { ...world.env, BERTH_ROLES: 'api' }
  try {
    const bundles = await buildEdges(folder)
    const port = await freePort()
    const programs = {
      deno: commandOf('deno', bundles.deno.file),
      bun: commandOf('bun', bundles.bun.file),
      node: commandOf('node', bundles.node.file),
      workerd: workerd(workerdConfig(join(folder, 'worker'), bundles.workerd.file, port)),
      empty: workerd(emptyConfig(folder, port)),
    }
    const taken: Record<string, number[]> = {}
    const note = (name: string, ms: number) => (taken[name] ??= []).push(ms)
    for (let round = 0; round <= rounds; round++) {
      const each: Record<string, number> = {}
      for (const [name, command] of Object.entries(programs)) {
        const { ms, cpu_ms } = await coldStart(command, port, env)
        const { ms: jobs_ms } = await coldStart(command, port, env, { path: '/v1/jobs', key: world.key })
        Object.assign(each, { [name]: ms, [`${name}_cpu`]: cpu_ms, [`${name}_jobs`]: jobs_ms })
      }
      each['lambda'] = await coldLambda(bundles.lambda.file, env)
      // The first round reads the programs from the disk.
      if (round === 0) continue
      for (const [name, ms] of Object.entries(each)) note(name, ms)
      for (const end of ['', '_cpu', '_jobs'])
        note(`isolate${end}`, (each[`workerd${end}`] ?? 0) - (each[`empty${end}`] ?? 0))
    }
    const p50 = (name: string) => rounded(percentile(taken[name] ?? [], 0.5), 1)
    const kb = (runtime: EdgeRuntime) => rounded(bundles[runtime].gzip_bytes / 1_000, 0)
    return {
      figures: {
        rounds,
        workerd_isolate_ms: p50('isolate'),
        workerd_spawn_ms: p50('workerd'),
        deno_ms: p50('deno'),
        bun_ms: p50('bun'),
        node_ms: p50('node'),
        lambda_ms: p50('lambda'),
        // To the first list of jobs.
        workerd_isolate_jobs_ms: p50('isolate_jobs'),
        deno_jobs_ms: p50('deno_jobs'),
        bun_jobs_ms: p50('bun_jobs'),
        node_jobs_ms: p50('node_jobs'),
        // Of which what the processor was busy with it, whatever else the machine did.
        workerd_isolate_cpu_ms: p50('isolate_cpu'),
        deno_cpu_ms: p50('deno_cpu'),
        bun_cpu_ms: p50('bun_cpu'),
        node_cpu_ms: p50('node_cpu'),
        others_load: rounded(load_before, 1),
        workerd_gzip_kb: kb('workerd'),
        lambda_gzip_kb: kb('lambda'),
      },
      targets: {
        workerd_isolate_ms: { at_most: 100 },
        deno_ms: { at_most: 250 },
        bun_ms: { at_most: 250 },
        node_ms: { at_most: 400 },
        workerd_gzip_kb: { at_most: 1_000 },
      },
    }
  } finally {
    await world.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const workerd = (config: string): [string, string[]] => [
  edgeBinary('workerd'),
  ['serve', '--experimental', config],
]

function emptyConfig(folder: string, port: number): string {
  const path = join(folder, 'empty.capnp')
  writeFileSync(join(folder, 'empty.mjs'), "export default { fetch: () => new Response('here') }\n")
  writeFileSync(
    path,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "empty", worker = (
    modules = [(name = "empty.mjs", esModule = embed "empty.mjs")], compatibilityDate = "2026-11-17"))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "empty")],
);
`,
  )
  return path
}

interface Asked {
  path: string
  key: string
}

/** From the start of a program to its answer: unless more is asked, that its database has what it needs. */
async function coldStart(
  [command, args]: [string, string[]],
  port: number,
  env: Record<string, string>,
  asked: Asked = { path: '/readyz', key: '' },
): Promise<{ ms: number; cpu_ms: number }> {
  const began_ms = performance.now()
  const child = spawn(command, args, {
    // Deno keeps what it has compiled in the user's folder.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env, BERTH_PORT: String(port) },
    stdio: 'ignore',
  })
  try {
    while (!(await answers(port, asked))) {
      if (child.exitCode !== null || performance.now() - began_ms > answer_ms)
        throw new Error(`${command} does not answer`)
      await sleep(1)
    }
    const ms = performance.now() - began_ms
    return { ms, cpu_ms: cpuSeconds(child.pid ?? 0) * 1_000 }
  } finally {
    await kill(child)
  }
}

/** A connection of its own: nothing is kept between two programs on one port. */
function answers(port: number, { path, key }: Asked): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const headers = key === '' ? {} : { authorization: `Bearer ${key}` }
  const sent = request({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
    response.resume().on('end', () => resolve(response.statusCode === 200))
  })
  sent.on('error', () => resolve(false)).end()
  return promise
}

async function coldLambda(bundle: string, env: Record<string, string>): Promise<number> {
  const lambda = await openLambda(bundle, env)
  try {
    const began_ms = performance.now()
    const answer = await fetch(`${lambda.url}/readyz`)
    if (!answer.ok) throw new Error(`the function answered ${answer.status}`)
    return performance.now() - began_ms
  } finally {
    await lambda.close()
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
