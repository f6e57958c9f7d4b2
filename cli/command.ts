// What all commands share: the option --json, the client, and how an exit code leaves an action.
import { type Command, InvalidArgumentError } from 'commander'
import { type Client, createClient } from './client.ts'
import { connection } from './connection.ts'
import type { ExitCode } from './exit.ts'
import type { Io } from './io.ts'
import { write } from './text.ts'

export interface Context {
  io: Io
  settle: (exit: ExitCode) => void
}

/** A subcommand with the options that every one has. */
export function subcommand(program: Command, usage: string, description: string): Command {
  return program
    .command(usage)
    .description(description)
    .option('--json', 'JSON on standard output, for scripts')
}

/** An action whose value is the exit code. */
export function action<Arguments extends unknown[]>(
  { settle }: Context,
  work: (...given: Arguments) => Promise<ExitCode>,
): (...given: Arguments) => Promise<void> {
  return async (...given) => settle(await work(...given))
}

export const openClient = (io: Io): Client => createClient(io, connection(io))

/** One JSON document. */
export const printJson = (io: Io, value: unknown) => write(io.stdout, `${JSON.stringify(value, null, 2)}\n`)

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d{1,12}$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}

/** Collects `--label name=value`, given any number of times. */
export function label(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must look like name=value.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
