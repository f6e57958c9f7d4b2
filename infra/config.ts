// The one place where environment variables are read.
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parse as parseDotenv } from 'dotenv'
import type { z } from 'zod'
import type { Registration } from '../jobs/identity.ts'
import { settings } from './settings.ts'
import type { Role } from './settings.ts'
import type { Variable } from './setting-forms.ts'
import type { S3Settings } from './s3-client.ts'

export interface Config {
  host: string
  /** 0: any free port. */
  port: number
  data_dir: string
  /** null: the embedded database in `data_dir`. */
  database_url: string | null
  database_connections: number
  database_timeout_ms: number
  admin_key_file: string
  /** Base64 of 32 bytes; null: read `secret_key_file`. */
  secret_key: string | null
  secret_key_file: string
  /** The same of a key that opens and does not seal; both null: there is none. */
  other_secret_key: string | null
  other_secret_key_file: string | null
  /** Without a slash at its end; null: the address that the server listens on. */
  public_url: string | null
  registration: Registration
  /** null: no mails are sent. */
  mail: { smtp_url: string; from: string } | null
  trusted_proxies: readonly string[]
  cors_origins: readonly string[]
  /** null: plain HTTP. */
  tls: { cert: string; key: string } | null
  roles: readonly Role[]
  allow_private_targets: boolean
  cache_ttl_s: number
  cache_max_entries: number
  keep_days: number
  audit_keep_days: number
  /** null: a folder in `data_dir`. */
  object_store: S3Settings | null
  local_data_dirs: readonly string[]
  local_provider: boolean
  local_usd_per_hour: number
  local_slots: number
  max_queued: number
  /** Requests a second for each API key; null: no limit. */
  rate_limit: number | null
  sse_max_s: number
  /** Container images by kind; null: none is named. */
  images: Readonly<Record<string, string | null>>
  python: string
  /** null: standard error alone. */
  log_dir: string | null
  log_level: 'debug' | 'info' | 'warn' | 'error'
}

/** Names every variable that is wrong, never its value: it may be a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Name = keyof typeof settings
type Values = {
  [N in Name]:
    | z.output<(typeof settings)[N]['parse']>
    | ((typeof settings)[N]['default'] extends null ? null : never)
}

/** Read by the command-line client and by the tests: a server beside them must not refuse them. */
const foreign = ['BERTH_URL', 'BERTH_API_KEY', 'BERTH_PROJECT', 'BERTH_TEST_DATABASE', 'BERTH_KUBE_CACHE']

/** The configuration table of the README. */
export const variables: readonly { name: string; default: string; meaning: string }[] = Object.entries(
  settings as Record<string, Variable>,
).map(([name, { default: value, shown, meaning }]) => ({ name, default: shown ?? `\`${value}\``, meaning }))

/** @throws ConfigError naming each variable that is wrong or unknown, and what to do. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  // An empty variable is an unset one: compose files and shells cannot always leave one out.
  const given = Object.entries(env).filter(([name, text]) => name.startsWith('BERTH_') && text?.trim())
  const problems = given
    .filter(([name]) => !(name in settings) && !foreign.includes(name))
    .map(([name]) => `${name} is not a variable of Berth: did you mean ${nearest(name)}?`)
  const values: Record<string, unknown> = {}
  for (const [name, variable] of Object.entries(settings as Record<string, Variable>)) {
    const text = env[name]?.trim() || variable.default
    const parsed = text === null ? { success: true as const, data: null } : variable.parse.safeParse(text)
    if (parsed.success) values[name] = parsed.data
    else problems.push(`${name} ${parsed.error.issues[0]?.message}`)
  }
  if (values['BERTH_SECRET_KEY'] && values['BERTH_SECRET_KEY_FILE']) {
    problems.push('BERTH_SECRET_KEY and BERTH_SECRET_KEY_FILE are both set: keep one of them')
  }
  if (values['BERTH_SECRET_KEY_OTHER'] && values['BERTH_SECRET_KEY_OTHER_FILE']) {
    problems.push('BERTH_SECRET_KEY_OTHER and BERTH_SECRET_KEY_OTHER_FILE are both set: keep one of them')
  }
  problems.push(...tlsProblems(values))
  problems.push(...storeProblems(values, (name) => Boolean(env[name]?.trim())))
  if (problems.length > 0) {
    throw new ConfigError(`${problems.join('\n')}\nREADME.md lists all variables.`)
  }
  return toConfig(values as Values)
}

/** Machines elsewhere and the local runner go by the name of the certificate. */
function tlsProblems(values: Record<string, unknown>): string[] {
  const names = ['BERTH_TLS_CERT', 'BERTH_TLS_KEY']
  const missing = names.filter((name) => !values[name])
  if (missing.length === 2) return []
  if (missing.length === 1) return [`${missing[0]} is not set: a certificate and its key go together`]
  return String(values['BERTH_PUBLIC_URL']).startsWith('https://')
    ? []
    : ['BERTH_PUBLIC_URL must begin with https:// and name the host of BERTH_TLS_CERT']
}

function storeProblems(values: Record<string, unknown>, isGiven: (name: string) => boolean): string[] {
  const parts = Object.keys(settings).filter((name) => name.startsWith('BERTH_OBJECT_STORE_'))
  const alone = isGiven('BERTH_OBJECT_STORE') ? [] : parts.filter(isGiven)
  const halves = ['BERTH_OBJECT_STORE_KEY_ID', 'BERTH_OBJECT_STORE_SECRET']
  const missing = halves.filter((name) => values[name] === null)
  return [
    ...alone.map((name) => `${name} is set without BERTH_OBJECT_STORE: name the bucket there`),
    ...(missing.length === 1 ? [`${missing[0]} is not set: a key id and its secret go together`] : []),
  ]
}

/** Reads the process's environment and, for what is not set there, the file `.env` in `folder`. */
export function loadConfig(folder = process.cwd()): Config {
  const file = join(folder, '.env')
  const fromFile = existsSync(file) ? parseDotenv(readFileSync(file)) : {}
  return parseConfig({ ...fromFile, ...process.env })
}

/** The environment that programs on this machine inherit an allow-list of. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env
}

function toConfig(values: Values): Config {
  const data_dir = values.BERTH_DATA_DIR
  return {
    host: values.BERTH_HOST,
    port: values.BERTH_PORT,
    data_dir,
    database_url: values.BERTH_DATABASE_URL,
    database_connections: values.BERTH_DATABASE_CONNECTIONS,
    database_timeout_ms: values.BERTH_DATABASE_TIMEOUT_MS,
    admin_key_file: values.BERTH_ADMIN_KEY_FILE ?? join(data_dir, 'admin.key'),
    secret_key: values.BERTH_SECRET_KEY,
    secret_key_file: values.BERTH_SECRET_KEY_FILE ?? join(data_dir, 'secret.key'),
    other_secret_key: values.BERTH_SECRET_KEY_OTHER,
    other_secret_key_file: values.BERTH_SECRET_KEY_OTHER_FILE,
    public_url: values.BERTH_PUBLIC_URL,
    registration: values.BERTH_REGISTRATION,
    mail: toMail(values),
    trusted_proxies: values.BERTH_TRUSTED_PROXIES,
    cors_origins: values.BERTH_CORS_ORIGINS,
    tls: toTls(values),
    roles: values.BERTH_ROLES,
    allow_private_targets: values.BERTH_ALLOW_PRIVATE_TARGETS,
    cache_ttl_s: values.BERTH_CACHE_TTL_S,
    cache_max_entries: values.BERTH_CACHE_MAX_ENTRIES,
    keep_days: values.BERTH_KEEP_DAYS,
    audit_keep_days: values.BERTH_AUDIT_KEEP_DAYS,
    object_store: toStore(values),
    local_data_dirs: values.BERTH_LOCAL_DATA_DIRS,
    local_provider: values.BERTH_LOCAL_PROVIDER ?? values.BERTH_DATABASE_URL === null,
    local_usd_per_hour: values.BERTH_LOCAL_USD_PER_HOUR,
    local_slots: values.BERTH_LOCAL_SLOTS ?? 2 * availableParallelism(),
    max_queued: values.BERTH_MAX_QUEUED,
    rate_limit: values.BERTH_RATE_LIMIT,
    sse_max_s: values.BERTH_SSE_MAX_S,
    images: { backtest: values.BERTH_IMAGE_BACKTEST, training: values.BERTH_IMAGE_TRAINING },
    python: values.BERTH_PYTHON,
    log_dir: values.BERTH_LOG_DIR,
    log_level: values.BERTH_LOG_LEVEL,
  }
}

function toMail({ BERTH_SMTP_URL: smtp_url, BERTH_MAIL_FROM, BERTH_PUBLIC_URL }: Values): Config['mail'] {
  if (smtp_url === null) return null
  const host = new URL(BERTH_PUBLIC_URL ?? 'http://localhost').hostname
  return { smtp_url, from: BERTH_MAIL_FROM ?? `Berth <berth@${host}>` }
}

function toTls({ BERTH_TLS_CERT: cert, BERTH_TLS_KEY: key }: Values): Config['tls'] {
  return cert !== null && key !== null ? { cert, key } : null
}

function toStore(values: Values): S3Settings | null {
  const { BERTH_OBJECT_STORE_KEY_ID: key_id, BERTH_OBJECT_STORE_SECRET: secret } = values
  if (values.BERTH_OBJECT_STORE === null) return null
  return {
    ...values.BERTH_OBJECT_STORE,
    endpoint: values.BERTH_OBJECT_STORE_ENDPOINT,
    region: values.BERTH_OBJECT_STORE_REGION,
    path_style: values.BERTH_OBJECT_STORE_PATH_STYLE,
    credentials: key_id !== null && secret !== null ? { key_id, secret } : null,
    redirect: values.BERTH_OBJECT_STORE_REDIRECT,
  }
}

function nearest(name: string): string {
  const known = [...Object.keys(settings), ...foreign]
  return known.reduce((best, other) => (distance(name, other) < distance(name, best) ? other : best))
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
