import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, loadConfig, parseConfig, variables } from '../../infra/config.ts'
import { newFolder } from './new-folder.ts'

const readme = resolve(import.meta.dirname, '../../README.md')

function messageOf(env: Record<string, string>): string {
  try {
    parseConfig(env)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error('parseConfig accepted it')
}

test('nothing set is a complete embedded configuration', () => {
  const config = parseConfig({ PATH: '/bin', HOME: '/root' })
  expect(config).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    data_dir: resolve('data'),
    database_url: null,
    database_connections: 20,
    database_timeout_ms: 20_000,
    admin_key_file: resolve('data/admin.key'),
    secret_key: null,
    secret_key_file: resolve('data/secret.key'),
    other_secret_key: null,
    other_secret_key_file: null,
    public_url: null,
    roles: ['api', 'pass', 'webhooks', 'offers'],
    allow_private_targets: false,
    object_store: null,
    local_data_dirs: [],
    local_provider: true,
    local_usd_per_hour: 0.01,
    max_queued: 2_000_000,
    cache_ttl_s: 3_600,
    cache_max_entries: 100_000,
    keep_days: 90,
    rate_limit: null,
    sse_max_s: 300,
    log_level: 'info',
  })
  expect(config.local_slots).toBeGreaterThanOrEqual(2)
  expect(config.python).toBe(resolve(import.meta.dirname, '../../.venv/bin/python'))
})

test('every variable arrives', () => {
  const key = Buffer.alloc(32, 7).toString('base64')
  const config = parseConfig({
    BERTH_HOST: '::1',
    BERTH_PORT: '0',
    BERTH_DATA_DIR: '/srv/berth',
    BERTH_DATABASE_URL: 'postgres://u:p@db/berth',
    BERTH_DATABASE_CONNECTIONS: '5',
    BERTH_DATABASE_TIMEOUT_MS: '5000',
    BERTH_ADMIN_KEY_FILE: '/etc/berth/admin.key',
    BERTH_SECRET_KEY: key,
    BERTH_SECRET_KEY_OTHER_FILE: '/etc/berth/old.key',
    BERTH_PUBLIC_URL: 'https://berth.example.com/',
    BERTH_REGISTRATION: 'invitation',
    BERTH_SMTP_URL: 'smtps://berth:hunter2@mail.example.com',
    BERTH_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    BERTH_CORS_ORIGINS: 'https://desk.example.com',
    BERTH_TLS_CERT: '/etc/berth/tls.crt',
    BERTH_TLS_KEY: '/etc/berth/tls.key',
    BERTH_ROLES: 'pass, api,pass',
    BERTH_ALLOW_PRIVATE_TARGETS: 'true',
    BERTH_OBJECT_STORE: 's3://desk-results/berth/one/',
    BERTH_OBJECT_STORE_ENDPOINT: 'https://s3.oss-cn-hangzhou.aliyuncs.com/',
    BERTH_OBJECT_STORE_REGION: 'oss-cn-hangzhou',
    BERTH_OBJECT_STORE_KEY_ID: 'LTAI',
    BERTH_OBJECT_STORE_SECRET: 'hunter2',
    BERTH_OBJECT_STORE_PATH_STYLE: 'true',
    BERTH_OBJECT_STORE_REDIRECT: 'false',
    BERTH_LOCAL_DATA_DIRS: '/data/a, /data/b',
    BERTH_LOCAL_PROVIDER: '1',
    BERTH_LOCAL_USD_PER_HOUR: '1.25',
    BERTH_LOCAL_SLOTS: '3',
    BERTH_MAX_QUEUED: '10',
    BERTH_CACHE_TTL_S: '60',
    BERTH_CACHE_MAX_ENTRIES: '5',
    BERTH_KEEP_DAYS: '60',
    BERTH_AUDIT_KEEP_DAYS: '500',
    BERTH_RATE_LIMIT: '50',
    BERTH_SSE_MAX_S: '20',
    BERTH_IMAGE_BACKTEST: 'registry.example.com/berth/backtest@sha256:00',
    BERTH_IMAGE_TRAINING: 'registry.example.com/berth/training@sha256:00',
    BERTH_PYTHON: '/usr/bin/python3',
    BERTH_LOG_DIR: '/var/log/berth',
    BERTH_LOG_LEVEL: 'debug',
  })
  expect(config).toEqual({
    host: '::1',
    port: 0,
    data_dir: '/srv/berth',
    database_url: 'postgres://u:p@db/berth',
    database_connections: 5,
    database_timeout_ms: 5_000,
    admin_key_file: '/etc/berth/admin.key',
    secret_key: key,
    secret_key_file: '/srv/berth/secret.key',
    other_secret_key: null,
    other_secret_key_file: '/etc/berth/old.key',
    public_url: 'https://berth.example.com',
    registration: 'invitation',
    mail: {
      smtp_url: 'smtps://berth:hunter2@mail.example.com',
      from: 'Berth <berth@berth.example.com>',
    },
    trusted_proxies: ['10.0.0.0/8', '::1'],
    cors_origins: ['https://desk.example.com'],
    tls: { cert: '/etc/berth/tls.crt', key: '/etc/berth/tls.key' },
    roles: ['pass', 'api'],
    allow_private_targets: true,
    object_store: {
      bucket: 'desk-results',
      prefix: 'berth/one',
      endpoint: 'https://s3.oss-cn-hangzhou.aliyuncs.com',
      region: 'oss-cn-hangzhou',
      path_style: true,
      credentials: { key_id: 'LTAI', secret: 'hunter2' },
      redirect: false,
    },
    local_data_dirs: ['/data/a', '/data/b'],
    local_provider: true,
    local_usd_per_hour: 1.25,
    local_slots: 3,
    max_queued: 10,
    cache_ttl_s: 60,
    cache_max_entries: 5,
    keep_days: 60,
    audit_keep_days: 500,
    rate_limit: 50,
    sse_max_s: 20,
    images: {
      backtest: 'registry.example.com/berth/backtest@sha256:00',
      training: 'registry.example.com/berth/training@sha256:00',
    },
    python: '/usr/bin/python3',
    log_dir: '/var/log/berth',
    log_level: 'debug',
  })
})

test('the local provider is off by default with a database URL, and an empty variable is unset', () => {
  expect(parseConfig({ BERTH_DATABASE_URL: 'postgresql://db/berth' }).local_provider).toBe(false)
  expect(parseConfig({ BERTH_PORT: '', BERTH_RATE_LIMIT: ' ' })).toMatchObject({
    port: 8080,
    rate_limit: null,
  })
})

describe('a bad value is refused by the name of its variable, without the value', () => {
  test.each([
    ['BERTH_HOST', 'two words'],
    ['BERTH_REGISTRATION', 'anybody'],
    ['BERTH_CORS_ORIGINS', '*'],
    ['BERTH_CORS_ORIGINS', 'https://desk.example.com/path'],
    ['BERTH_SMTP_URL', 'mail.example.com'],
    ['BERTH_MAIL_FROM', 'nobody'],
    ['BERTH_TRUSTED_PROXIES', '10.0.0.0/33'],
    ['BERTH_TRUSTED_PROXIES', 'proxy.example.com'],
    ['BERTH_PORT', '80a'],
    ['BERTH_PORT', '70000'],
    ['BERTH_PORT', '-1'],
    ['BERTH_DATABASE_URL', 'mysql://hunter2@db'],
    ['BERTH_SECRET_KEY', 'hunter2'],
    ['BERTH_SECRET_KEY', Buffer.alloc(16).toString('base64')],
    ['BERTH_PUBLIC_URL', 'berth.example.com'],
    ['BERTH_PUBLIC_URL', 'https://user:hunter2@berth.example.com'],
    ['BERTH_PUBLIC_URL', 'https://berth.example.com/?a=b'],
    ['BERTH_OBJECT_STORE', '/srv/objects'],
    ['BERTH_OBJECT_STORE', 's3://Bucket'],
    ['BERTH_OBJECT_STORE', 's3://bucket/../other'],
    ['BERTH_OBJECT_STORE', 's3://key:hunter2@bucket'],
    ['BERTH_OBJECT_STORE_ENDPOINT', 'https://key:hunter2@store'],
    ['BERTH_OBJECT_STORE_REGION', 'two words'],
    ['BERTH_OBJECT_STORE_SECRET', 'hunter2 hunter2'],
    ['BERTH_OBJECT_STORE_REDIRECT', 'perhaps'],
    ['BERTH_ROLES', 'api,cook'],
    ['BERTH_ROLES', ','],
    ['BERTH_ALLOW_PRIVATE_TARGETS', 'perhaps'],
    ['BERTH_LOCAL_PROVIDER', 'on'],
    ['BERTH_LOCAL_USD_PER_HOUR', '-0.01'],
    ['BERTH_LOCAL_USD_PER_HOUR', '1e9'],
    ['BERTH_LOCAL_SLOTS', '0'],
    ['BERTH_MAX_QUEUED', '2_000'],
    ['BERTH_CACHE_TTL_S', '-1'],
    ['BERTH_CACHE_MAX_ENTRIES', '0'],
    // Shorter than a job may wait and run.
    ['BERTH_KEEP_DAYS', '44'],
    ['BERTH_RATE_LIMIT', '0'],
    ['BERTH_SSE_MAX_S', '0.5'],
    ['BERTH_LOG_LEVEL', 'loud'],
  ])('%s = %s', (name, text) => {
    const message = messageOf({ [name]: text })
    expect(message).toContain(name)
    expect(message).toContain('must be')
    expect(message).not.toContain('hunter2')
  })
})

test('an unknown variable is refused with the name that was meant', () => {
  expect(messageOf({ BERTH_DATABSE_URL: 'x' })).toContain('did you mean BERTH_DATABASE_URL?')
  expect(messageOf({ BERTH_PROT: '1' })).toContain('did you mean BERTH_PORT?')
})

test('all problems are told at once', () => {
  const message = messageOf({ BERTH_PORT: 'x', BERTH_SSE_MAX_S: 'x', BERTH_NOPE: 'x' })
  expect(message.split('\n')).toHaveLength(4)
})

test("the client's variables and the tests' own do not stop a server", () => {
  const env = {
    BERTH_URL: 'http://127.0.0.1:1',
    BERTH_API_KEY: 'x',
    BERTH_PROJECT: 'prj_x',
    BERTH_TEST_DATABASE: 'postgres',
  }
  expect(parseConfig(env).port).toBe(8080)
})

test('a secret key given twice is refused', () => {
  const env = { BERTH_SECRET_KEY: Buffer.alloc(32).toString('base64'), BERTH_SECRET_KEY_FILE: '/k' }
  expect(messageOf(env)).toContain('keep one of them')
})

test('a store is told by its bucket, and a key id and its secret go together', () => {
  const store = { BERTH_OBJECT_STORE: 's3://bucket' }
  expect(parseConfig(store).object_store).toMatchObject({ prefix: '', endpoint: null, credentials: null })
  const half = messageOf({ ...store, BERTH_OBJECT_STORE_SECRET: 'hunter2' })
  expect(half).toContain('BERTH_OBJECT_STORE_KEY_ID is not set')
  expect(half).not.toContain('hunter2')
  const alone = { BERTH_OBJECT_STORE_ENDPOINT: 'http://minio:9000' }
  expect(messageOf(alone)).toContain('BERTH_OBJECT_STORE_ENDPOINT is set without BERTH_OBJECT_STORE')
})

test('.env is read, and the environment wins over it', async () => {
  const folder = newFolder()
  await writeFile(join(folder, '.env'), 'BERTH_MAX_QUEUED=11\nBERTH_SSE_MAX_S=12\n')
  process.env['BERTH_SSE_MAX_S'] = '13'
  try {
    expect(loadConfig(folder)).toMatchObject({ max_queued: 11, sse_max_s: 13 })
  } finally {
    delete process.env['BERTH_SSE_MAX_S']
  }
})

test('README.md lists every variable with its default and meaning', (context) => {
  if (!existsSync(readme)) context.skip('README.md is not written yet')
  const rows = readFileSync(readme, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `BERTH_'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, name, value, meaning]) => ({ name, default: value, meaning }))
  expect(rows).toEqual(variables.map((row) => ({ ...row, name: `\`${row.name}\`` })))
})
