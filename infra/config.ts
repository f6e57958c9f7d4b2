// The one place where environment variables are read.
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { parse as parseDotenv } from 'dotenv'
import { z } from 'zod'

const root = resolve(import.meta.dirname, '..')

export const roles = ['api', 'pass', 'webhooks', 'offers'] as const
export type Role = (typeof roles)[number]

export interface Config {
  host: string
  /** 0: any free port. */
  port: number
  data_dir: string
  /** null: the embedded database in `data_dir`. */
  database_url: string | null
  admin_key_file: string
  /** Base64 of 32 bytes; null: read `secret_key_file`. */
  secret_key: string | null
  secret_key_file: string
  /** Without a slash at its end; null: the address that the server listens on. */
  public_url: string | null
  roles: readonly Role[]
  allow_private_targets: boolean
  local_data_dirs: readonly string[]
  local_provider: boolean
  local_usd_per_hour: number
  local_slots: number
  max_queued: number
  /** Requests a second for each API key; null: no limit. */
  rate_limit: number | null
  sse_max_s: number
  python: string
  log_level: 'debug' | 'info' | 'warn' | 'error'
}

/** Names every variable that is wrong, never its value: it may be a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

interface Variable {
  /** What an unset variable means, in words where it follows from something else. */
  shown?: string
  /** What an unset variable is parsed from; null: left open. */
  default: string | null
  meaning: string
  parse: z.ZodType
}

const path = z.string().transform((text) => resolve(text))
const truth = z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'], error: 'must be true or false' })
const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be from ${least} to ${most}`)
const list = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

const publicUrl = z
  .string()
  .refine((text) => {
    const url = URL.parse(text)
    const plain = url !== null && `${url.search}${url.hash}${url.username}${url.password}` === ''
    return plain && ['http:', 'https:'].includes(url.protocol)
  }, 'must be an http:// or https:// address without a user, a query or a fragment')
  .transform((text) => text.replace(/\/+$/, ''))

const settings = {
  BERTH_HOST: {
    default: '127.0.0.1',
    meaning: 'address to listen on',
    parse: z.string().regex(/^[\w.:-]+$/, 'must be an address or a host name'),
  },
  BERTH_PORT: {
    default: '8080',
    meaning: 'port to listen on; 0: any free one',
    parse: wholeNumber(0, 65535),
  },
  BERTH_DATA_DIR: {
    default: './data',
    meaning: 'folder of the embedded database, artifacts and keys; one process at a time',
    parse: path,
  },
  BERTH_DATABASE_URL: {
    default: null,
    shown: 'none: embedded',
    meaning: 'PostgreSQL, as `postgres://user:password@host/database`',
    parse: z.string().regex(/^postgres(ql)?:\/\/\S+$/, 'must begin with postgres://'),
  },
  BERTH_ADMIN_KEY_FILE: {
    default: null,
    shown: '`$BERTH_DATA_DIR/admin.key`',
    meaning: 'where the first start writes the admin API key (one line, mode 0600)',
    parse: path,
  },
  BERTH_SECRET_KEY: {
    default: null,
    shown: 'none: the file below',
    meaning: 'key that encrypts secrets in rows: 32 random bytes in base64 (`openssl rand -base64 32`)',
    parse: z
      .string()
      .regex(/^[A-Za-z0-9+/]{43}=$/, 'must be 32 bytes in base64: make one with `openssl rand -base64 32`'),
  },
  BERTH_SECRET_KEY_FILE: {
    default: null,
    shown: '`$BERTH_DATA_DIR/secret.key`',
    meaning: 'file with that key (mode 0600), written at the first start',
    parse: path,
  },
  BERTH_PUBLIC_URL: {
    default: null,
    shown: 'the address it listens on',
    meaning: 'address at which runners and people reach this server',
    parse: publicUrl,
  },
  BERTH_ROLES: {
    default: 'api,pass,webhooks,offers',
    meaning: 'what this process does, separated by commas',
    parse: z
      .string()
      .transform((text) => [...new Set(list(text))])
      .pipe(
        z
          .array(z.enum(roles, `must be some of ${roles.join(', ')}, separated by commas`))
          .min(1, 'must be at least one role'),
      ),
  },
  BERTH_ALLOW_PRIVATE_TARGETS: {
    default: 'false',
    meaning:
      'webhooks and data URLs may reach private addresses, any port and plain http (tests, on-premises)',
    parse: truth,
  },
  BERTH_LOCAL_DATA_DIRS: {
    default: '',
    shown: 'none: refused',
    meaning: 'folders, separated by commas, that `file://` data may come from',
    parse: z.string().transform((text) => list(text).map((folder) => resolve(folder))),
  },
  BERTH_LOCAL_PROVIDER: {
    default: null,
    shown: 'true embedded, false with a database URL',
    meaning: 'run jobs as processes of this machine and user: they can do whatever you can',
    parse: truth,
  },
  BERTH_LOCAL_USD_PER_HOUR: {
    default: '0.01',
    meaning: 'price of one local slot, so that cost and budgets mean something',
    parse: z
      .string()
      .regex(/^\d{1,6}(\.\d{1,6})?$/, 'must be a price such as 0.01')
      .transform(Number),
  },
  BERTH_LOCAL_SLOTS: {
    default: null,
    shown: '2 for each core',
    meaning: 'most local CPU attempts at once',
    parse: wholeNumber(1, 10_000),
  },
  BERTH_MAX_QUEUED: {
    default: '2000000',
    meaning: 'most jobs waiting in the whole installation; beyond it a submit is refused',
    parse: wholeNumber(1, 1_000_000_000),
  },
  BERTH_RATE_LIMIT: {
    default: null,
    shown: 'none',
    meaning: 'requests a second for each API key',
    parse: wholeNumber(1, 1_000_000),
  },
  BERTH_SSE_MAX_S: {
    default: '300',
    meaning: 'longest event stream in seconds; the client resumes where it ended',
    parse: wholeNumber(1, 86_400),
  },
  BERTH_PYTHON: {
    default: join(root, '.venv', 'bin', 'python'),
    shown: '`.venv/bin/python` of this checkout',
    meaning: 'Python that runs local jobs',
    parse: path,
  },
  BERTH_LOG_LEVEL: {
    default: 'info',
    meaning: '`debug`, `info`, `warn` or `error`',
    parse: z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error'),
  },
} satisfies Record<`BERTH_${string}`, Variable>

type Name = keyof typeof settings
type Values = {
  [N in Name]:
    | z.output<(typeof settings)[N]['parse']>
    | ((typeof settings)[N]['default'] extends null ? null : never)
}

/** Read by the command-line client and by the tests: a server beside them must not refuse them. */
const foreign = ['BERTH_URL', 'BERTH_API_KEY', 'BERTH_TEST_DATABASE']

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
  if (problems.length > 0) {
    throw new ConfigError(`${problems.join('\n')}\nREADME.md lists all variables.`)
  }
  return toConfig(values as Values)
}

/** Reads the process's environment and, for what is not set there, the file `.env` in `folder`. */
export function loadConfig(folder = process.cwd()): Config {
  const file = join(folder, '.env')
  const fromFile = existsSync(file) ? parseDotenv(readFileSync(file)) : {}
  return parseConfig({ ...fromFile, ...process.env })
}

function toConfig(values: Values): Config {
  const data_dir = values.BERTH_DATA_DIR
  return {
    host: values.BERTH_HOST,
    port: values.BERTH_PORT,
    data_dir,
    database_url: values.BERTH_DATABASE_URL,
    admin_key_file: values.BERTH_ADMIN_KEY_FILE ?? join(data_dir, 'admin.key'),
    secret_key: values.BERTH_SECRET_KEY,
    secret_key_file: values.BERTH_SECRET_KEY_FILE ?? join(data_dir, 'secret.key'),
    public_url: values.BERTH_PUBLIC_URL,
    roles: values.BERTH_ROLES,
    allow_private_targets: values.BERTH_ALLOW_PRIVATE_TARGETS,
    local_data_dirs: values.BERTH_LOCAL_DATA_DIRS,
    local_provider: values.BERTH_LOCAL_PROVIDER ?? values.BERTH_DATABASE_URL === null,
    local_usd_per_hour: values.BERTH_LOCAL_USD_PER_HOUR,
    local_slots: values.BERTH_LOCAL_SLOTS ?? 2 * availableParallelism(),
    max_queued: values.BERTH_MAX_QUEUED,
    rate_limit: values.BERTH_RATE_LIMIT,
    sse_max_s: values.BERTH_SSE_MAX_S,
    python: values.BERTH_PYTHON,
    log_level: values.BERTH_LOG_LEVEL,
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
