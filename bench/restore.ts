// `npm run bench -- restore [--jobs 80]`: the drill of docs/operations.md on a real PostgreSQL. pg_dump under load, the loss of the server
// and its database, pg_restore, `berth restore`. What the copy knows must end, and what ran on must not be run beside itself; what was accepted
// after the copy is sent again by its clients, under the same keys.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { openWitness } from '../test/support/witness.ts'
import { type Measurement, option, rounded } from './measurement.ts'
import { checkout, startLoad } from './support/drill.ts'
import { installedPostgres, startInstalledPostgres } from './support/postgres.ts'

const every_ms = 200
/** Before the copy, and from the copy to the loss. */
const stretch_ms = 7_000
/** What is at work is seen within a minute and reports within another; docs/operations.md waits for the whole ten. */
const adoption_ms = 100_000

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 80)
  const { bin, version } = installedPostgres()
  await using postgres = await startInstalledPostgres(bin)
  await using witness = openWitness()
  const folder = mkdtempSync(join(tmpdir(), 'berth-restore-'))
  const copy = join(folder, 'copy')
  const data = join(folder, 'data')
  const env = {
    BERTH_DATABASE_URL: postgres.database_url,
    BERTH_LOCAL_PROVIDER: 'true',
    BERTH_LOCAL_SLOTS: '12',
    BERTH_PYTHON: witness.python,
    BERTH_LOG_LEVEL: 'error',
  }
  const run = (program: string, ...args: string[]) =>
    void execFileSync(join(bin, program), args, { stdio: 'ignore' })
  const berthRestore = (...args: string[]) =>
    void execFileSync(process.execPath, [join(checkout, 'infra', 'restore.ts'), ...args], {
      cwd: checkout,
      env: { ...process.env, BERTH_DATA_DIR: data, ...env },
    })
  const servers: RunningServer[] = [await startServer(data, await freePort(), env)]
  const key = servers[0]?.key ?? ''
  const load = startLoad(
    () => servers,
    () => key,
  )
  try {
    const all = Array.from({ length: jobs }, (_, job) => job)
    const accepted = load.submit(0, jobs, every_ms)
    await sleep(stretch_ms)
    run('pg_dump', '--format=custom', `--file=${copy}`, postgres.database_url)
    const [known, over] = [new Set(load.ids.keys()), new Set(witness.saw('ended'))]
    await sleep(stretch_ms)
    await servers.pop()?.kill()
    // A runner may say that it ended while nobody hears it: that is after the loss.
    const [acknowledged, ended_before_loss] = [new Set(load.ids.keys()), witness.saw('ended')]

    const began = performance.now()
    await replaced(postgres.database_url)
    run('pg_restore', '--no-owner', `--dbname=${postgres.database_url}`, copy)
    berthRestore()
    servers.push(await startServer(data, await freePort(), env))
    const back_ms = performance.now() - began
    await sleep(adoption_ms)
    berthRestore('--end')
    await accepted
    // As a client does whose job is not there any more.
    const gone: number[] = []
    for (const job of all) if ((await load.read(load.ids.get(job) ?? '')) === null) gone.push(job)
    for (const job of gone) await load.submit(job, job + 1, 0)
    const ended = await load.ended(all)
    const times = (job: number) => witness.saw('began').filter((each) => each === job).length
    const unheard = new Set([...gone, ...ended_before_loss.filter((job) => !over.has(job))])
    return {
      figures: {
        postgres: version,
        jobs,
        accepted_before_copy: known.size,
        accepted_before_loss: acknowledged.size,
        back_s: rounded(back_ms / 1_000, 1),
        succeeded: ended.filter(({ state }) => state === 'succeeded').length,
        known_and_lost: gone.filter((job) => known.has(job)).length,
        sent_again: gone.length,
        // Their end is in no copy: nobody can know it.
        ended_unheard: unheard.size,
        run_again_unheard: [...unheard].filter((job) => times(job) > 1).length,
        run_twice: all.filter((job) => !unheard.has(job) && times(job) > 1).length,
      },
      targets: {
        succeeded: { at_least: jobs },
        known_and_lost: { at_most: 0 },
        run_twice: { at_most: 0 },
      },
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** An empty database in place of the one that was lost. */
async function replaced(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1)
  const admin = new pg.Client({ connectionString: url.replace(/\/[^/]*$/, '/postgres') })
  await admin.connect()
  await admin.query(`drop database ${name} with (force)`)
  await admin.query(`create database ${name}`)
  await admin.end()
}
