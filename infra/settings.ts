// The table of the server's variables. infra/config.ts reads them.
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { access } from './access-settings.ts'
import { usualBounds } from './postgres.ts'
import { list, path, publicUrl, truth, type Variable, wholeNumber } from './setting-forms.ts'

const root = resolve(import.meta.dirname, '..')

const roles = ['api', 'pass', 'webhooks', 'offers'] as const
export type Role = (typeof roles)[number]

const secretKey = z
  .string()
  .regex(/^[A-Za-z0-9+/]{43}=$/, 'must be 32 bytes in base64: make one with `openssl rand -base64 32`')

/** `s3://bucket/prefix`: prefixes are limited to what is safe in every store and every log. */
const bucketUrl = z
  .string()
  .regex(
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9][A-Za-z0-9._=-]{0,99}){0,5}\/?$/,
    'must be s3://bucket or s3://bucket/prefix',
  )
  .transform((text) => {
    const [bucket = '', ...prefix] = text.slice('s3://'.length).replace(/\/$/, '').split('/')
    return { bucket, prefix: prefix.join('/') }
  })

/** As container engines take it; what a registry makes of it is seen at the first launch. */
const imageName = z
  .string()
  .max(512)
  .regex(/^[a-z0-9][\w.:/@-]*$/i, 'must be the name of an image, like registry/name@sha256:...')

/** Every variable: what it means, what an unset one is, how its text is read. */
export const settings = {
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
  BERTH_DATABASE_CONNECTIONS: {
    default: String(usualBounds.connections),
    meaning: 'most connections of one process to PostgreSQL, which allows 100 in all by default',
    parse: wholeNumber(2, 1_000),
  },
  BERTH_DATABASE_TIMEOUT_MS: {
    default: String(usualBounds.timeout_ms),
    meaning: 'longest statement on PostgreSQL; a quarter longer, and its connection is given up',
    parse: wholeNumber(100, 3_600_000),
  },
  BERTH_ADMIN_KEY_FILE: {
    default: null,
    shown: '`$BERTH_DATA_DIR/admin.key`',
    meaning: 'where the first start of a database writes the admin API key (one line, mode 0600)',
    parse: path,
  },
  BERTH_SECRET_KEY: {
    default: null,
    shown: 'none: the file below',
    meaning: 'key that encrypts secrets in rows: 32 random bytes in base64 (`openssl rand -base64 32`)',
    parse: secretKey,
  },
  BERTH_SECRET_KEY_FILE: {
    default: null,
    shown: '`$BERTH_DATA_DIR/secret.key`',
    meaning: 'file with that key (mode 0600), written at the first start',
    parse: path,
  },
  BERTH_SECRET_KEY_OTHER: {
    default: null,
    shown: 'none',
    meaning: 'another such key that opens secrets and seals none, while keys are rotated',
    parse: secretKey,
  },
  BERTH_SECRET_KEY_OTHER_FILE: {
    default: null,
    shown: 'none',
    meaning: 'file with that other key (mode 0600)',
    parse: path,
  },
  BERTH_PUBLIC_URL: {
    default: null,
    shown: 'the address it listens on',
    meaning: 'address at which runners and people reach this server',
    parse: publicUrl,
  },
  ...access,
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
      'webhooks and data URLs may reach private addresses, any port and plain http (tests, on-premises), but no metadata service of a cloud',
    parse: truth,
  },
  BERTH_OBJECT_STORE: {
    default: null,
    shown: '`$BERTH_DATA_DIR/objects`',
    meaning:
      'where artifacts and datasets lie: `s3://bucket` or `s3://bucket/prefix` of an S3-compatible store',
    parse: bucketUrl,
  },
  BERTH_OBJECT_STORE_ENDPOINT: {
    default: null,
    shown: 'AWS, of the region',
    meaning: 'address of that store, as `https://s3.oss-cn-hangzhou.aliyuncs.com`',
    parse: publicUrl,
  },
  BERTH_OBJECT_STORE_REGION: {
    default: 'us-east-1',
    meaning: 'region of the bucket',
    parse: z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be the name of a region'),
  },
  BERTH_OBJECT_STORE_KEY_ID: {
    default: null,
    shown: 'what the AWS SDK finds',
    meaning:
      'access key id for the store; without it AWS_ACCESS_KEY_ID, a profile or the role of the machine',
    parse: z.string().max(256).regex(/^\S+$/, 'must be an access key id'),
  },
  BERTH_OBJECT_STORE_SECRET: {
    default: null,
    shown: 'what the AWS SDK finds',
    meaning: 'secret of that access key',
    parse: z.string().max(1024).regex(/^\S+$/, 'must be a secret key'),
  },
  BERTH_OBJECT_STORE_PATH_STYLE: {
    default: 'false',
    meaning: 'put the bucket in the path and not in the host name (MinIO)',
    parse: truth,
  },
  BERTH_OBJECT_STORE_REDIRECT: {
    default: 'true',
    meaning:
      'send downloads to the store by presigned addresses; false: through this server, for a store that clients and machines do not reach',
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
  BERTH_CACHE_TTL_S: {
    default: '3600',
    meaning: 'how long a result is given again to equal jobs, in seconds; 0: never',
    parse: wholeNumber(0, 31_536_000),
  },
  BERTH_CACHE_MAX_ENTRIES: {
    default: '100000',
    meaning: 'results that are kept to be given again; beyond it those used longest ago go',
    parse: wholeNumber(1, 100_000_000),
  },
  BERTH_KEEP_DAYS: {
    default: '90',
    meaning: 'how long logs and events are kept, in days; they go by whole months',
    parse: wholeNumber(45, 36_500),
  },
  BERTH_AUDIT_KEEP_DAYS: {
    default: '400',
    meaning: 'how long the audit log is kept, in days; it goes by whole months',
    parse: wholeNumber(45, 36_500),
  },
  BERTH_RATE_LIMIT: {
    default: null,
    shown: 'none',
    meaning:
      'requests a second for each API key, at all servers together; ten times that for the keys of a project together, and for what comes from an address without a credential that holds',
    parse: wholeNumber(1, 1_000_000),
  },
  BERTH_SSE_MAX_S: {
    default: '300',
    meaning: 'longest event stream in seconds; the client resumes where it ended',
    parse: wholeNumber(1, 86_400),
  },
  BERTH_IMAGE_BACKTEST: {
    default: null,
    shown: 'none: only this machine runs backtests',
    meaning:
      'image that runs backtests where containers run, as `registry/name@sha256:...`: by a tag alone no results are cached',
    parse: imageName,
  },
  BERTH_IMAGE_TRAINING: {
    default: null,
    shown: 'none: only this machine trains',
    meaning: 'the same for jobs of kind training',
    parse: imageName,
  },
  BERTH_PYTHON: {
    default: join(root, '.venv', 'bin', 'python'),
    shown: '`.venv/bin/python` of this checkout',
    meaning: 'Python that runs local jobs',
    parse: path,
  },
  BERTH_LOG_DIR: {
    default: null,
    shown: 'none: standard error alone',
    meaning:
      'folder where log lines are kept too, by class: what broke 180 days, jobs 90, the system and GPUs 30, and who asked what 7',
    parse: path,
  },
  BERTH_LOG_LEVEL: {
    default: 'info',
    meaning: '`debug`, `info`, `warn` or `error`',
    parse: z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error'),
  },
} satisfies Record<`BERTH_${string}`, Variable>
