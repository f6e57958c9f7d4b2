import { describe, expect, test } from 'vitest'
import { edgeConfig } from '../../infra/edge/settings.ts'

const whole = {
  BERTH_DATABASE_URL: 'postgres://u:p@db/berth',
  BERTH_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
  BERTH_PUBLIC_URL: 'https://berth.example.com',
  BERTH_OBJECT_STORE: 's3://desk',
  BERTH_OBJECT_STORE_KEY_ID: 'id',
  BERTH_OBJECT_STORE_SECRET: 'hunter2',
}

test('a function answers requests unless it is told to do more, and runs no programs', () => {
  // Other bindings are objects, and a variable of workerd that is not set is null.
  const config = edgeConfig({ ...whole, ASSETS: {}, BERTH_RATE_LIMIT: null })
  expect(config).toMatchObject({ roles: ['api'], local_provider: false, rate_limit: null })
  expect(edgeConfig({ ...whole, BERTH_ROLES: 'api,pass' }).roles).toEqual(['api', 'pass'])
})

test.each(['BERTH_DATABASE_URL', 'BERTH_SECRET_KEY', 'BERTH_PUBLIC_URL', 'BERTH_OBJECT_STORE'])(
  'without %s it is refused by that name',
  (name) => {
    expect(() => edgeConfig({ ...whole, [name]: undefined })).toThrow(`${name} is not set`)
  },
)

describe('what a function has no files for is refused', () => {
  test.each(['BERTH_SECRET_KEY_FILE', 'BERTH_TLS_CERT', 'BERTH_LOCAL_DATA_DIRS', 'BERTH_LOG_DIR'])(
    '%s',
    (name) => {
      expect(() => edgeConfig({ ...whole, [name]: '/etc/berth/it' })).toThrow(`${name} is of no use here`)
    },
  )
  test('programs of this machine', () => {
    expect(() => edgeConfig({ ...whole, BERTH_LOCAL_PROVIDER: 'true' })).toThrow(
      'BERTH_LOCAL_PROVIDER must be false',
    )
  })
})

test('the store is opened with its own key, else with the role that a function is lent', () => {
  expect(edgeConfig(whole).object_store.credentials).toEqual({ key_id: 'id', secret: 'hunter2' })
  const { BERTH_OBJECT_STORE_KEY_ID: _, BERTH_OBJECT_STORE_SECRET: __, ...bare } = whole
  const lent = { AWS_ACCESS_KEY_ID: 'ASIA', AWS_SECRET_ACCESS_KEY: 'lent', AWS_SESSION_TOKEN: 'token' }
  expect(edgeConfig({ ...bare, ...lent }).object_store.credentials).toEqual({
    key_id: 'ASIA',
    secret: 'lent',
    session_token: 'token',
  })
  expect(() => edgeConfig(bare)).toThrow(
    'BERTH_OBJECT_STORE_KEY_ID and BERTH_OBJECT_STORE_SECRET are not set',
  )
})

test('a refusal names no value', () => {
  const refused = () =>
    edgeConfig({ ...whole, BERTH_DATABASE_URL: 'mysql://u:hunter2@db', BERTH_SECRET_KEY: 'hunter2' })
  expect(refused).toThrow(/BERTH_DATABASE_URL[^]*BERTH_SECRET_KEY/)
  expect(refused).not.toThrow(/hunter2/)
})
