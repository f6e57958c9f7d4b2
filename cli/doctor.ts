// Looks at everything between this command and a job that runs, and says what to do about what is missing.
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import { answered, createClient, type OfferSource } from './client.ts'
import { action, type Context, printJson, subcommand } from './command.ts'
import { adminKeyFile, dataFolder, findKey, isLoopback, serverUrl } from './connection.ts'
import { CliError, type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { bytes, harmless, paint, write } from './text.ts'

const checkout = resolve(import.meta.dirname, '..')
const python = { least: [3, 11], most: [3, 13] } as const
/** The database, logs and artifacts of some hundred backtests. */
const leastFree_bytes = 1024 ** 3
/** A cold disk can take seconds to start a Python. */
const python_ms = 30_000

interface Check {
  name: string
  ok: boolean
  detail: string
  /** What to do; null: nothing. */
  todo: string | null
}

export function addDoctor(program: Command, context: Context): void {
  subcommand(
    program,
    'doctor',
    'check server, key, offers, accounts, orphans, Node, Python, data folder and disk',
  ).action(action(context, ({ json }: { json?: true }) => doctor(context.io, json === true)))
}

async function doctor(io: Io, json: boolean): Promise<ExitCode> {
  const url = serverUrl(io)
  const server = await checkServer(io, url)
  const key = await checkKey(io, url, server.ok)
  const operated = key.ok && server.ok ? await checkOperated(io, url) : []
  const local = isLoopback(url) ? [...(await checkPython(io)), checkData(io), checkDisk(io)] : []
  const checks = [server, key, ...operated, checkNode(), ...local]
  const ok = checks.every((check) => check.ok)
  if (json) await printJson(io, { ok, checks })
  else for (const check of checks) await write(io.stdout, lineOf(io, check))
  if (!server.ok) return exits.unreachable
  if (!key.ok) return exits.unauthorized
  return ok ? exits.ok : exits.failed
}

function lineOf(io: Io, { name, ok, detail, todo }: Check): string {
  const mark = ok ? paint(io, io.stdout, 'green', 'ok  ') : paint(io, io.stdout, 'red', 'FAIL')
  return `${mark} ${name.padEnd(11)} ${harmless(detail)}${todo === null ? '' : `: ${harmless(todo)}`}\n`
}

async function checkServer(io: Io, url: string): Promise<Check> {
  const name = 'server'
  try {
    const started = performance.now()
    // Sent without a key: it may not be a Berth.
    await answered(createClient(io, { url, key: 'none' }, { patience_ms: 0 }).readyz.$get())
    const plain = url.startsWith('http:') && !isLoopback(url)
    const detail = `${url} is ready (${Math.round(performance.now() - started)} ms)`
    return { name, ok: true, detail, todo: plain ? 'the key goes unencrypted over http: better https' : null }
  } catch (error) {
    if (!(error instanceof CliError) || error.exit === exits.interrupted) throw error
    const todo = error.problem.hint ?? 'start it with "npm start", or set BERTH_URL to its address'
    return { name, ok: false, detail: error.problem.message, todo }
  }
}

async function checkKey(io: Io, url: string, reachable: boolean): Promise<Check> {
  const name = 'key'
  const found = findKey(io, url)
  if ('missing' in found) return { name, ok: false, detail: 'none', todo: found.missing }
  if (!reachable) return { name, ok: true, detail: `from ${found.source}, not tried`, todo: null }
  try {
    const client = createClient(io, { url, ...found }, { patience_ms: 0 })
    await answered(client.v1.jobs.$get({ query: { limit: '1' } }))
    return { name, ok: true, detail: `from ${found.source}, accepted`, todo: null }
  } catch (error) {
    if (!(error instanceof CliError) || error.exit === exits.interrupted) throw error
    const todo = `the server does not know the key from ${found.source}: set BERTH_API_KEY to one of its keys`
    return { name, ok: false, detail: error.problem.message, todo }
  }
}

/** What only an operator sees: each part is looked at by itself. */
async function checkOperated(io: Io, url: string): Promise<Check[]> {
  const found = findKey(io, url)
  if ('missing' in found) return []
  const client = createClient(io, { url, ...found }, { patience_ms: 0 })
  const parts = { offers: checkOffers, accounts: checkAccounts, orphans: checkOrphans }
  return Promise.all(
    Object.entries(parts).map(async ([name, check]): Promise<Check> => {
      try {
        return { name, ...(await check(client)) }
      } catch (error) {
        if (!(error instanceof CliError) || error.exit === exits.interrupted) throw error
        if (error.exit !== exits.unauthorized)
          return { name, ok: false, detail: error.problem.message, todo: null }
        const detail = 'not looked at: that takes an admin key of the installation'
        return { name, ok: true, detail, todo: null }
      }
    }),
  )
}

type Client = ReturnType<typeof createClient>
type Seen = Omit<Check, 'name'>

/** What accounts answered when they were asked for offers. */
async function checkOffers(client: Client): Promise<Seen> {
  const { items } = await answered(client.v1.offers.sources.$get())
  const failed = items.filter(({ error }) => error !== null).map((each) => `${nameOf(each)}: ${each.error}`)
  const warnings = items.flatMap(warningsOf)
  const count = items.reduce((sum, { offers }) => sum + offers, 0)
  const detail = `${count} of ${items.length} accounts`
  if (failed.length > 0) return { ok: false, detail, todo: [...failed, ...warnings].join('; ') }
  return { ok: true, detail, todo: warnings.length > 0 ? warnings.join('; ') : null }
}

/** Which accounts do not do what they are for, and why. */
async function checkAccounts(client: Client): Promise<Seen> {
  const { items } = await answered(client.v1['provider-accounts'].$get())
  const ill = items.filter(({ enabled, health }) => enabled && health.state !== 'healthy')
  const told = ill.map(
    (each) =>
      `${nameOf(each)} is ${each.health.state}${each.health.detail ? ` (${each.health.detail})` : ''}`,
  )
  const detail = `${items.length - ill.length} of ${items.length} do well`
  const todo =
    told.length > 0 ? `${told.join('; ')}: "berth admin accounts test ID" names what to mend` : null
  return { ok: told.length === 0, detail, todo }
}

/** What costs money and no attempt accounts for. */
async function checkOrphans(client: Client): Promise<Seen> {
  const { items } = await answered(client.v1.orphans.$get())
  const usd = items.reduce((sum, { usd_per_hour }) => sum + usd_per_hour, 0)
  if (items.length === 0) return { ok: true, detail: 'none', todo: null }
  const todo = 'see "berth admin orphans list"; each is stopped two minutes after it was seen'
  return { ok: false, detail: `${items.length}, at ${usd.toFixed(2)} USD an hour`, todo }
}

type Source = Pick<OfferSource, 'provider' | 'account' | 'missing' | 'refused' | 'rates'>
const nameOf = ({ provider, account }: Pick<Source, 'provider' | 'account'>) => `${provider}/${account}`

function warningsOf(source: Source): string[] {
  const name = nameOf(source)
  const { missing, refused, rates } = source
  return [
    ...missing.map((part) => `${name}: ${part.name} does not answer (${part.error})`),
    ...refused.map(({ count, text }) => `${name}: ${count} offers are refused, ${text}`),
    ...rates
      .filter(({ is_old }) => is_old)
      .map(
        ({ currency, at }) =>
          `${name}: the rate of ${currency} is ${at === null ? 'without a date' : `of ${at}`}: set it anew`,
      ),
  ]
}

function checkNode(): Check {
  return { name: 'Node', ok: true, detail: `${process.versions.node} (${process.execPath})`, todo: null }
}

/** Of a server that runs jobs as processes; another needs none. */
async function checkPython(io: Io): Promise<Check[]> {
  const { BERTH_LOCAL_PROVIDER, BERTH_DATABASE_URL } = io.env
  const isLocal = BERTH_LOCAL_PROVIDER?.trim() || (BERTH_DATABASE_URL?.trim() ? 'false' : 'true')
  return /^(true|1)$/.test(isLocal) ? [await runPython(io)] : []
}

async function runPython(io: Io): Promise<Check> {
  const name = 'Python'
  const path = io.env['BERTH_PYTHON']?.trim() || join(checkout, '.venv', 'bin', 'python')
  const todo = 'make the environment with "npm run quickstart", or set BERTH_PYTHON'
  const ask = 'import sys; print(*sys.version_info[:3]); import numpy, numba, pyarrow'
  try {
    const { stdout } = await promisify(execFile)(path, ['-c', ask], { timeout: python_ms })
    const [major = 0, minor = 0, patch = 0] = stdout.trim().split(' ').map(Number)
    const ok = major === 3 && minor >= python.least[1] && minor <= python.most[1]
    const wanted = `${python.least.join('.')} to ${python.most.join('.')}`
    return {
      name,
      ok,
      detail: `${major}.${minor}.${patch} (${path})`,
      todo: ok ? null : `it must be ${wanted}`,
    }
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    const why = code === 'ENOENT' ? 'is not there' : (stderr.trim().split('\n').at(-1) ?? 'does not run')
    return { name, ok: false, detail: `${path} ${why}`, todo }
  }
}

function checkData(io: Io): Check {
  const name = 'data folder'
  const folder = dataFolder(io)
  const exists = existsSync(folder)
  try {
    accessSync(exists ? folder : dirname(folder), constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    return {
      name,
      ok: false,
      detail: `${folder} cannot be written`,
      todo: 'set BERTH_DATA_DIR, or mend its rights',
    }
  }
  if (!exists) return { name, ok: true, detail: `${folder}, made at the first start`, todo: null }
  const key = adminKeyFile(io)
  const open = existsSync(key) && (statSync(key).mode & 0o077) !== 0
  return open
    ? { name, ok: false, detail: `${key} can be read by others`, todo: `chmod 600 ${key}` }
    : { name, ok: true, detail: folder, todo: null }
}

function checkDisk(io: Io): Check {
  const folder = dataFolder(io)
  const { bavail, bsize } = statfsSync(existsSync(folder) ? folder : dirname(folder))
  const free = bavail * bsize
  const ok = free >= leastFree_bytes
  const todo = ok ? null : `make room: jobs fail when less than ${bytes(leastFree_bytes)} is left`
  return { name: 'disk', ok, detail: `${bytes(free)} free`, todo }
}
