// The settings of an edge function: those of every server, from the runtime's bindings, and what it cannot do without.
import { type Config, ConfigError, parseConfig } from '../config.ts'
import type { S3Settings } from '../s3-client.ts'

/** What a runtime hands over: variables and secrets are texts, and what is none is not ours. */
export type Bindings = Readonly<Record<string, unknown>>

export interface EdgeConfig extends Config {
  database_url: string
  object_store: S3Settings & { credentials: StoreCredentials }
}
export type StoreCredentials = NonNullable<S3Settings['credentials']> & {
  /** Of a role that a function is lent. */
  session_token?: string
}

/** Bound to a function, and files of a machine that it does not have. */
const needed = {
  BERTH_DATABASE_URL: 'PostgreSQL, where the runtime keeps few connections by its pooler',
  BERTH_SECRET_KEY: 'the key that this database is used with: there is no file to read it from',
  BERTH_PUBLIC_URL: 'the address of this function',
  BERTH_OBJECT_STORE: 'there is no folder for artifacts',
}
const foreign = [
  'BERTH_SECRET_KEY_FILE',
  'BERTH_SECRET_KEY_OTHER_FILE',
  'BERTH_TLS_CERT',
  'BERTH_TLS_KEY',
  'BERTH_LOCAL_DATA_DIRS',
  'BERTH_LOG_DIR',
]

/**
 * Answers requests unless BERTH_ROLES says more.
 * @throws ConfigError naming each variable that is wrong, missing or of no use here.
 */
export function edgeConfig(bindings: Bindings): EdgeConfig {
  const texts = Object.entries(bindings).filter(
    (each): each is [string, string] => typeof each[1] === 'string',
  )
  const env = Object.fromEntries(texts)
  const given = (name: string) => Boolean(env[name]?.trim())
  const problems = [
    ...Object.entries(needed)
      .filter(([name]) => !given(name))
      .map(([name, why]) => `${name} is not set: ${why}`),
    ...foreign
      .filter(given)
      .map((name) => `${name} is of no use here: an edge function has no files of its own`),
    ...(env['BERTH_LOCAL_PROVIDER']?.trim() === 'true'
      ? ['BERTH_LOCAL_PROVIDER must be false: an edge function runs no programs']
      : []),
  ]
  if (problems.length > 0) throw new ConfigError(`${problems.join('\n')}\ndocs/edge.md tells what is needed.`)
  const config = parseConfig({ BERTH_ROLES: 'api', ...env, BERTH_LOCAL_PROVIDER: 'false' })
  const { database_url, object_store } = config
  const credentials = object_store?.credentials ?? lentCredentials(env)
  if (database_url === null || object_store === null || credentials === null)
    throw new ConfigError('BERTH_OBJECT_STORE_KEY_ID and BERTH_OBJECT_STORE_SECRET are not set: docs/edge.md')
  return { ...config, database_url, object_store: { ...object_store, credentials } }
}

/** What AWS Lambda puts into the environment of a function that has a role. */
function lentCredentials(env: Readonly<Record<string, string>>): StoreCredentials | null {
  const { AWS_ACCESS_KEY_ID: key_id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session_token } = env
  if (!key_id || !secret) return null
  return { key_id, secret, ...(session_token ? { session_token } : {}) }
}
