// `npm run bench -- upgrade [--from REVISION] [--jobs 120]`: a rolling upgrade under load, from another revision of this checkout to what
// is here. The new server migrates the database while the old one serves; both serve; the old one is stopped. Nothing may be lost or run twice.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { openWitness } from '../test/support/witness.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { checkout, missedOf, startLoad } from './support/drill.ts'
import { installedPostgres, startInstalledPostgres } from './support/postgres.ts'

const every_ms = 250
/** How long the old one serves alone, and both beside each other. */
const stretch_ms = 8_000

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 120)
  const from = textOption(options, 'from') ?? firstOfTags()
  const { bin, version } = installedPostgres()
  await using postgres = await startInstalledPostgres(bin)
  await using witness = openWitness()
  const folder = mkdtempSync(join(tmpdir(), 'berth-upgrade-'))
  const old = join(folder, 'old')
  const data = join(folder, 'data')
  checkOut(from, old)
  const env = {
    BERTH_DATABASE_URL: postgres.database_url,
    BERTH_LOCAL_PROVIDER: 'true',
    BERTH_LOCAL_SLOTS: '12',
    BERTH_PYTHON: witness.python,
    BERTH_LOG_LEVEL: 'warn',
  }
  const servers: RunningServer[] = []
  try {
    servers.push(await startServer(data, await freePort(), env, join(old, 'infra', 'node.ts')))
    const key = servers[0]?.key ?? ''
    const load = startLoad(
      () => servers,
      () => key,
    )
    const accepted = load.submit(0, jobs, every_ms)
    await sleep(stretch_ms)
    const began = performance.now()
    // Clients find the new one first from here on.
    servers.unshift(await startServer(data, await freePort(), env))
    const start_ms = performance.now() - began
    await sleep(stretch_ms)
    await servers.pop()?.stop()
    await accepted
    const all = Array.from({ length: jobs }, (_, job) => job)
    const ended = await load.ended(all)
    const { missing, twice } = missedOf(witness.saw('ended'), jobs)
    return {
      figures: {
        postgres: version,
        from,
        jobs,
        succeeded: ended.filter(({ state }) => state === 'succeeded').length,
        lost: jobs - load.ids.size + missing,
        run_twice: twice + missedOf(witness.saw('began'), jobs).twice,
        attempts: ended.reduce((sum, job) => sum + job.attempts.length, 0),
        new_server_start_s: rounded(start_ms / 1_000, 1),
        submit_p50_ms: rounded(percentile(load.submit_ms, 0.5), 0),
        submit_max_ms: rounded(Math.max(...load.submit_ms), 0),
      },
      targets: {
        succeeded: { at_least: jobs },
        lost: { at_most: 0 },
        run_twice: { at_most: 0 },
        attempts: { at_most: jobs },
      },
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    git('worktree', 'remove', '--force', old)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** With the packages and programs of this checkout: an older revision needs no others. */
function checkOut(revision: string, folder: string): void {
  git('worktree', 'add', '--quiet', '--detach', folder, revision)
  for (const name of ['node_modules', '.venv']) symlinkSync(join(checkout, name), join(folder, name))
  cpSync(join(checkout, 'containers', 'samples'), join(folder, 'containers', 'samples'), { recursive: true })
}

/** The first release; before there is one, the commit before this one. */
function firstOfTags(): string {
  return git('tag', '--list', 'v*', '--sort', 'creatordate').split('\n')[0] || 'HEAD~1'
}

const git = (...args: string[]) => execFileSync('git', args, { cwd: checkout, encoding: 'utf8' }).trim()

function textOption(options: readonly string[], name: string): string | null {
  const at = options.indexOf(`--${name}`)
  return at >= 0 ? (options[at + 1] ?? null) : null
}
