// What the quickstart is told, by its command line and by the environment.
import { join, resolve } from 'node:path'
import { parseArgs, parseEnv } from 'node:util'
import { readIfThere } from './install.mjs'

const defaultPort = 8080

export const help = `usage: npm run quickstart [-- --exit] [-- --port N]

Installs what is missing, starts Berth on its embedded database, runs a real backtest on real prices
through the REST API, and prints its metrics, its cost and where its tear sheet is. Then it stays up
until Ctrl-C. Nothing leaves this machine but the downloads of the installation.

  --exit     end after printing
  --port N   listen on this port (else ${defaultPort}, or the next free one)
  --help     this text

BERTH_DATA_DIR (./data) is where everything is kept; README.md lists all variables.
`

/** A mistake on the command line or in a variable; the message is whole. */
export class OptionError extends Error {
  name = 'OptionError'
}

/**
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env with what is in .env
 * @returns {{ help: boolean, exit: boolean, port: number, port_given: string | null }}
 *   port_given: by what the port was asked for, so that another must not be taken
 */
export function parseOptions(argv, env) {
  const values = parse(argv)
  const rest = { help: values.help === true, exit: values.exit === true }
  const byVariable = env.BERTH_PORT?.trim() || null
  const text = typeof values.port === 'string' ? values.port : byVariable
  if (text === null) return { ...rest, port: defaultPort, port_given: null }
  const port_given = typeof values.port === 'string' ? '--port' : 'BERTH_PORT'
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return { ...rest, port: Number(text), port_given }
  throw new OptionError(
    `${port_given} must be a port from 0 (any free one) to 65535, not ${JSON.stringify(text)}.`,
  )
}

function parse(args) {
  const options = {
    exit: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
    port: { type: 'string' },
  }
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values
  } catch (error) {
    throw new OptionError(`${error.message}\n\n${help}`)
  }
}

/** The environment, and for what is not set there the file .env, as the server reads them. */
export function environmentOf(root, env) {
  const text = readIfThere(join(root, '.env'))
  return text === null ? { ...env } : { ...parseEnv(text), ...env }
}

/** @returns {{ data: string, key: string, output: string }} folders and files, absolute */
export function placesOf(root, env) {
  const data = resolve(root, env.BERTH_DATA_DIR?.trim() || 'data')
  const key = resolve(root, env.BERTH_ADMIN_KEY_FILE?.trim() || join(data, 'admin.key'))
  return { data, key, output: join(data, 'quickstart') }
}
