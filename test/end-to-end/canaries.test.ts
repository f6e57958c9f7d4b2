// Secrets of every sort go through a run of real processes, and afterwards stand nowhere in clear.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createServer } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../infra/db.ts'
import { openapiText } from '../../infra/write-openapi.ts'
import { heldIn, heldInProcesses, heldInFiles, heldInTables } from '../support/canaries.ts'
import { type Desk, realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'
import { canary, furnish } from '../support/tenant.ts'
import { password } from '../support/people.ts'
import { openTestWorld } from '../support/world.ts'
import { newFolder } from '../infra/new-folder.ts'

/** Takes mails from whoever has the password, and keeps the tokens of their links. */
async function openMails() {
  const tokens: string[] = []
  const folder = newFolder()
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const how = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', [...how, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    const say = (line: string) => socket.write(`${line}\r\n`)
    socket.on('error', () => undefined)
    let mail: string[] | null = null
    say('220 mail.test')
    createInterface(socket).on('line', (line) => {
      if (mail !== null && line !== '.') return void mail.push(line)
      if (mail !== null) {
        // Long lines are broken by RFC 2045's quoted-printable.
        const text = mail.join('\n').replaceAll('=\n', '').replaceAll('=3D', '=')
        tokens.push(/#token=([\w.-]+)/.exec(text)?.[1] ?? '')
      }
      mail = line === 'DATA' ? [] : null
      if (line === 'DATA') say('354 go on')
      else if (line.startsWith('EHLO')) socket.write('250-mail.test\r\n250 AUTH PLAIN\r\n')
      else if (line.includes('refused@')) say('550 nobody here')
      else say(line.startsWith('AUTH') ? '235 welcome' : line === 'QUIT' ? '221 bye' : '250 taken')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { tokens, port, cert, [Symbol.dispose]: () => void server.close() }
}

const post = async <Body>(desk: Desk, path: string, body: unknown, status: number, method = 'POST') => {
  // Who logs in has no key yet.
  const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const isPerson = path.startsWith('/v1/auth/')
  const answer = await (isPerson ? fetch(`${desk.server().url}${path}`, init) : desk.request(path, init))
  const text = await answer.text()
  expect([path, answer.status, text]).toEqual([path, status, expect.anything()])
  return (text === '' ? null : JSON.parse(text)) as Body
}

/** Somebody registers, verifies the address, logs in, forgets the password and chooses another; answers the secrets of it. */
async function livePerson(desk: Desk, tokens: string[]) {
  const email = 'ada@example.com'
  const [first, second, wrong] = ['canary-password-1st', 'canary-password-2nd', 'canary-password-wrong']
  const lastToken = async (count: number) => {
    await desk.until(() => tokens.length >= count)
    return tokens[count - 1] ?? ''
  }
  await post(desk, '/v1/auth/register', { email, name: 'Ada', password: first }, 201)
  const verify = await lastToken(1)
  await post(desk, '/v1/auth/email/verify', { token: verify }, 204)
  await post(desk, '/v1/auth/login', { email, password: wrong }, 401)
  interface Tokens {
    access_token: string
    refresh_token: string
  }
  const before = await post<Tokens>(desk, '/v1/auth/login', { email, password: first, as: 'token' }, 200)
  await post(desk, '/v1/auth/password/forgot', { email }, 202)
  const reset = await lastToken(2)
  await post(desk, '/v1/auth/password/reset', { token: reset, password: second }, 204)
  const after = await post<Tokens>(desk, '/v1/auth/login', { email, password: second, as: 'token' }, 200)
  return {
    person: after.refresh_token,
    secrets: {
      'first password': first,
      'second password': second,
      'wrong password': wrong,
      'token of the first mail': verify,
      'token of the second mail': reset,
      'access token': before.access_token,
      'refresh token': before.refresh_token,
      'second access token': after.access_token,
      'second refresh token': after.refresh_token,
    },
  }
}

/** What every path without an id answers to somebody. */
async function readAll(desk: Desk, key: string): Promise<string> {
  const { paths } = JSON.parse(openapiText()) as { paths: Record<string, Record<string, unknown>> }
  const asked = Object.keys(paths).filter(
    (path) => paths[path]?.['get'] && !path.includes('{') && path !== '/v1/webhooks/secret',
  )
  expect(asked.length).toBeGreaterThan(30)
  const texts = asked.map(async (path) => {
    const answer = await desk.request(path, { headers: { authorization: `Bearer ${key}` } })
    return `${path} ${JSON.stringify([...answer.headers])} ${await answer.text()}`
  })
  return (await Promise.all(texts)).join('\n')
}

const smtp = 'canary-smtp-password'
const environment = 'canary-of-the-environment'
const credential = 'canary-of-an-account'
const value = 'canary-of-a-secret'
const sealing = Buffer.from('canary-of-32-bytes-that-seals-it').toString('base64')

describe.skipIf(process.platform !== 'linux')('secrets in a run of real processes', () => {
  test('none is in logs, events, errors, answers, tables, files or command lines', async () => {
    using mails = await openMails()
    await using desk = await openMigratedDesk({
      // Nothing answers by this name: programs of this machine ask the server itself.
      BERTH_PUBLIC_URL: 'https://berth.invalid',
      BERTH_REGISTRATION: 'open',
      BERTH_SMTP_URL: `smtps://berth:${smtp}@127.0.0.1:${mails.port}`,
      NODE_EXTRA_CA_CERTS: mails.cert,
      BERTH_SECRET_KEY: sealing,
      BERTH_LOG_LEVEL: 'debug',
      AWS_SECRET_ACCESS_KEY: environment,
    })
    const { child, key: admin } = desk.server()
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part) => (said += String(part)))
    const { person, secrets } = await livePerson(desk, mails.tokens)
    const lost = { email: 'refused@example.com', name: 'Eve', password: secrets['first password'] }
    await post(desk, '/v1/auth/register', lost, 201)
    await desk.until(() => said.includes('a mail was not sent'))
    const made = await post<{ key: string }>(desk, '/v1/keys', { name: 'for a program', role: 'viewer' }, 201)
    const hook = { url: desk.hook_url, events: ['job.succeeded', 'job.failed'] }
    const webhook = await post<{ secret: string }>(desk, '/v1/webhooks', hook, 201)
    await post(desk, '/v1/secrets/TOKEN', { value }, 200, 'PUT')
    const account = {
      provider: 'containers',
      account: 'main',
      enabled: false,
      settings: { url: 'https://engine.example:2376' },
      credentials: { ca: 'a', cert: 'b', key: credential },
    }
    await post(desk, '/v1/provider-accounts', account, 201)
    const canaries = {
      ...secrets,
      admin,
      'made key': made.key,
      'secret of the webhook': webhook.secret,
      'password of mails': smtp,
      'variable of the server': environment,
      'credential of an account': credential,
      'value of a secret': value,
      'key that seals': sealing,
    }
    const good = await desk.submit(realBacktest())
    const strategy = { source: 'import os\n\nclass Nosy:\n    pass\n', class: 'Nosy' }
    const bad = await desk.submit(
      realBacktest({
        params: { ...realBacktest().params, strategy, parameters: {} },
        retry: { max_attempts: 1 },
      }),
    )
    const processes = new Set<string>()
    const over = async () => {
      for (const each of heldInProcesses(canaries, child.pid ?? 0)) processes.add(each)
      const states = await Promise.all(
        [good, bad].map(({ id }) => desk.get<{ state: string }>(`/v1/jobs/${id}`)),
      )
      return states.every(({ state }) => ['succeeded', 'failed'].includes(state))
    }
    await desk.until(over)
    expect([(await desk.ended(good.id)).state, (await desk.ended(bad.id)).state]).toEqual([
      'succeeded',
      'failed',
    ])
    await desk.until(() => desk.hooks.length >= 2)
    const ofJobs = await Promise.all(
      [good, bad].flatMap(({ id }) =>
        ['', '/events', '/logs?format=text', '/spec', '/attempts', '/artifacts'].map(async (part) =>
          (await desk.request(`/v1/jobs/${id}${part}`)).text(),
        ),
      ),
    )
    expect(ofJobs.join('\n')).toContain('import of os is not allowed')
    const held = (text: string) => heldIn(canaries, text)
    expect([...processes]).toEqual([])
    expect(held(ofJobs.join('\n'))).toEqual([])
    expect(held(JSON.stringify(desk.hooks))).toEqual([])
    for (const who of [admin, made.key, person]) expect(held(await readAll(desk, who))).toEqual([])
    expect(held(await readAll(desk, 'berth_000000000000_x'))).toEqual([])
    await desk.server().stop()
    expect(held(said)).toEqual([])
    // The database's own files as well, with all that it has written ahead.
    expect(heldInFiles(desk.folder, canaries, ['admin.key', 'secret.key'])).toEqual([])
    const { db, close } = await openDatabase({ database_url: null, data_dir: desk.folder })
    expect(await heldInTables(db, canaries).finally(close)).toEqual([])
  })
})

test('tokens of runners and machines, keys, sessions and passwords are in no table in clear', async () => {
  await using world = await openTestWorld()
  const { running, machine, theirs, keys, people } = await furnish(world)
  const canaries = {
    'runner token': running.token,
    'token in user data': machine.bootstrap,
    'token of another project': theirs.token,
    ...keys,
    'admin key': world.key,
    session: people.owner.secret,
    'access token': people.ended.token,
    invitation: people.invitation_token,
    password,
    'value of a secret': `${canary} value`,
    credential: `${canary} credential`,
  }
  expect(await heldInTables(world.deps.db, canaries)).toEqual([])
  expect(heldIn(canaries, JSON.stringify(world.logged))).toEqual([])
  expect(await heldInTables(world.deps.db, { name: canary })).not.toEqual([])
})
