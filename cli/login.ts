// `berth login`, `logout` and `whoami`: by whose right this machine's commands ask.
import type { Command } from 'commander'
import { createAsker } from './ask.ts'
import { type Client, answered, createClient } from './client.ts'
import { action, type Context, printJson, subcommand } from './command.ts'
import { findKey, isLoopback, serverUrl } from './connection.ts'
import { type Credential, credentialsFile, isKey, readCredential, writeCredential } from './credentials.ts'
import { CliError, type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { harmless, write } from './text.ts'

const help = `
Without a terminal the address and the password, or with --key the key, are lines of standard input:
  berth login --key < key.txt
What is kept is in $XDG_CONFIG_HOME/berth/credentials.json (~/.config/berth), readable by its user alone,
for the server that BERTH_URL names. BERTH_API_KEY goes before it.
`

export function addLogin(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'login', 'log in to the server, or keep an API key for it')
    .option('--email <address>', 'whose password it is; asked for unless given')
    .option('--key', 'keep an API key instead')
    .addHelpText('after', help)
    .action(
      action(context, ({ email, key, json }: { email?: string; key?: true; json?: true }) =>
        logIn(io, { email, by_key: key === true, json }),
      ),
    )
  subcommand(program, 'logout', 'end the session, and forget what login kept').action(
    action(context, ({ json }: { json?: true }) => logOut(io, json)),
  )
  subcommand(program, 'whoami', 'who asks, in which project, and by which credential').action(
    action(context, ({ json }: { json?: true }) => whoAmI(io, json)),
  )
}

interface Given {
  email: string | undefined
  by_key: boolean
  json: true | undefined
}

async function logIn(io: Io, { email, by_key, json }: Given): Promise<ExitCode> {
  const url = serverUrl(io)
  if (url.startsWith('http:') && !isLoopback(url))
    await write(io.stderr, `${url} is not https: what you type can be read on the way.\n`)
  await using asker = createAsker(io)
  const credential = by_key
    ? keyOf(await asker.ask('API key: ', true))
    : await openSession(io, url, email ?? (await asker.ask('E-mail address: ')), () =>
        asker.ask('Password: ', true),
      )
  // A wrong one is not kept.
  const me = await readMe(createClient(io, { url, key: credential.key }))
  const before = readCredential(io, url)
  writeCredential(io, url, credential)
  if (before?.as === 'session' && before.key !== credential.key) await endSession(io, url, before)
  const file = credentialsFile(io)
  if (json) await printJson(io, { ...me, credential: credential.as, file })
  else await write(io.stdout, `Logged in to ${url} as ${whoOf(me)}; kept in ${file}\n`)
  if (!json && io.env['BERTH_API_KEY']?.trim())
    await write(io.stderr, 'BERTH_API_KEY is set and goes before it: unset it.\n')
  return exits.ok
}

function keyOf(text: string): Credential {
  if (!isKey(text)) throw usageError('that is no API key: copy it again')
  return { key: text, as: 'key' }
}

async function openSession(
  io: Io,
  url: string,
  email: string,
  askPassword: () => Promise<string>,
): Promise<Credential> {
  const json = { email, password: await askPassword(), as: 'token' as const }
  const client = createClient(io, { url, key: null })
  const { refresh_token } = await answered(client.v1.auth.login.$post({ json }))
  if (refresh_token === null) throw new Error('a log-in for a program gives a token')
  return { key: refresh_token, as: 'session' }
}

async function logOut(io: Io, json?: true): Promise<ExitCode> {
  const url = serverUrl(io)
  const credential = readCredential(io, url)
  if (credential === null) {
    if (json) await printJson(io, { logged_out: false })
    else await write(io.stdout, `Nothing is kept for ${url}.\n`)
    return exits.ok
  }
  writeCredential(io, url, null)
  const problem = credential.as === 'session' ? await endSession(io, url, credential) : null
  if (problem !== null)
    throw new CliError(problem.exit, {
      ...problem.problem,
      message: `The credential is forgotten, but its session at ${url} may go on: ${problem.problem.message}`,
    })
  if (json) await printJson(io, { logged_out: true })
  else await write(io.stdout, `Logged out of ${url}.\n`)
  return exits.ok
}

/** null: it has ended. */
async function endSession(io: Io, url: string, { key }: Credential): Promise<CliError | null> {
  try {
    await createClient(io, { url, key }).v1.auth.logout.$post()
    return null
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return error.exit === exits.unauthorized ? null : error
  }
}

async function whoAmI(io: Io, json?: true): Promise<ExitCode> {
  const url = serverUrl(io)
  const found = findKey(io, url)
  if ('missing' in found) throw new CliError(exits.unauthorized, { code: 'no_key', message: found.missing })
  const me = await readMe(createClient(io, { url, ...found }))
  if (json) await printJson(io, { ...me, server: url, source: found.source })
  else await write(io.stdout, `${whoOf(me)} at ${url}, by ${found.source}\n`)
  return exits.ok
}

const readMe = (client: Client) => answered(client.v1.me.$get())
type Me = Awaited<ReturnType<typeof readMe>>

function whoOf({ by, name, email, role, project }: Me): string {
  const who = by === 'key' ? `the key ${name}` : `${name}${email === null ? '' : ` <${email}>`}`
  return harmless(`${who}, ${project === null ? 'in no project' : `${role} of ${project.name}`}`)
}
