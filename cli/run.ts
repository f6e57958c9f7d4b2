// The command line as a function: arguments in, exit code out.
import { Command, CommanderError } from 'commander'
import { addAdmin, addRestore } from './admin.ts'
import { addArtifacts } from './artifacts.ts'
import type { Context } from './command.ts'
import { addData } from './data.ts'
import { addDoctor } from './doctor.ts'
import { addEstimate } from './estimate.ts'
import { addEvents } from './events.ts'
import { CliError, exitHelp, type ExitCode, exits, type Problem } from './exit.ts'
import { addExplain } from './explain.ts'
import { addGet } from './get.ts'
import type { Io } from './io.ts'
import { addList } from './list.ts'
import { addLogin } from './login.ts'
import { addLogs } from './logs.ts'
import { addOffers } from './offers.ts'
import { addOrders } from './orders.ts'
import { addProjects } from './projects.ts'
import { addProviderTest } from './provider-test.ts'
import { addResult } from './result.ts'
import { addSubmit } from './submit.ts'
import { harmless, hasColours, oneLine, paint } from './text.ts'
import { addWait } from './wait.ts'
import { addWebhooks } from './webhooks.ts'

const environmentHelp = `
Environment:
  BERTH_URL       address of the server (http://127.0.0.1:8080)
  BERTH_API_KEY   key; without one, what "berth login" kept for the server, or for a server on this machine
                  $BERTH_DATA_DIR/admin.key (./data/admin.key)
  BERTH_PROJECT   id of the project that a person who has logged in asks in (else "berth projects use")
  NO_COLOR        no colours
`

/** @param argv what follows the command's name */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let exit: ExitCode = exits.ok
  const program = createProgram({ io, settle: (code) => (exit = code) })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exit
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exits.ok : exits.usage
    report(io, error, argv.includes('--json'))
    return error instanceof CliError ? error.exit : exits.client
  }
}

function createProgram(context: Context): Command {
  const { io } = context
  const program = new Command('berth')
    .description('Submits jobs to a Berth server and follows them.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
      getOutHasColors: () => hasColours(io, io.stdout),
      getErrHasColors: () => hasColours(io, io.stderr),
    })
    .showHelpAfterError('("berth --help" and "berth COMMAND --help" tell more)')
    .addHelpText('after', `${environmentHelp}${exitHelp}`)
  const adders = [
    addSubmit,
    addEstimate,
    addExplain,
    addOffers,
    addData,
    addWait,
    addGet,
    addList,
    addLogs,
    addEvents,
    addResult,
    addArtifacts,
    addWebhooks,
  ]
  for (const add of [
    addLogin,
    addProjects,
    ...adders,
    addOrders,
    addDoctor,
    addProviderTest,
    addRestore,
    addAdmin,
  ])
    add(program, context)
  return program
}

/** Tells what went wrong on standard error: to people, or to a program with --json as one line `{"error": ...}`. */
function report(io: Io, error: unknown, json: boolean): void {
  const problem = problemOf(error)
  if (json && !io.stderr.isTTY) {
    io.stderr.write(`${JSON.stringify({ error: problem })}\n`)
    return
  }
  const status = problem.status === undefined ? '' : ` (${problem.status} ${problem.code})`
  const lines = [`${paint(io, io.stderr, 'red', 'error:')} ${harmless(problem.message)}${oneLine(status)}`]
  for (const { path, message } of problem.errors ?? []) {
    // The first is often the whole message already.
    if (problem.message !== `${path} ${message}`) lines.push(oneLine(`  ${path || '(the body)'}: ${message}`))
  }
  if (problem.hint) lines.push(`${paint(io, io.stderr, 'dim', 'hint:')} ${harmless(problem.hint)}`)
  if (problem.request_id && (problem.status ?? 0) >= 500)
    lines.push(oneLine(`request id: ${problem.request_id}`))
  io.stderr.write(`${lines.join('\n')}\n`)
}

function problemOf(error: unknown): Problem {
  if (error instanceof CliError) return error.problem
  const { code, message, path } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC') return { code: 'disk_full', message: `The disk is full: make room (${message}).` }
  if (path !== undefined) return { code: 'client', message: `${path}: ${message}` }
  return { code: 'client', message: error instanceof Error ? (error.stack ?? message) : String(error) }
}
