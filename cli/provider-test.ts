// Tries a provider adapter. It loads foreign code, and so runs as a program of its own, as administration does.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { action, type Context, printJson, subcommand } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { harmless, oneLine, paint, write } from './text.ts'

const suite = join(import.meta.dirname, '..', 'providers', 'conformance', 'program.ts')

interface Result {
  name: string
  outcome: 'passed' | 'failed' | 'skipped'
  detail: string | null
}

interface Report {
  subject: string
  ok: boolean
  passed: number
  failed: number
  skipped: number
  cases: Result[]
}

interface Options {
  only?: string
  json?: true
}

const help = `
MODULE exports what is tried, as "subject" or as its default: a subject, or a function that makes one.
docs/providers.md tells how to write it. Cases that the subject has no control for are skipped, with the reason.
`

export function addProviderTest(program: Command, context: Context): void {
  subcommand(program, 'provider-test <module>', 'try a provider adapter on every promise of the contract')
    .option('--only <text>', 'only cases that have this in their name')
    .addHelpText('after', help)
    .action(action(context, (module: string, options: Options) => providerTest(context.io, module, options)))
}

async function providerTest(io: Io, module: string, { only, json }: Options): Promise<ExitCode> {
  const args = [suite, module, ...(only === undefined ? [] : [only])]
  const child = spawn(process.execPath, args, {
    cwd: io.cwd,
    env: { ...io.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = () => void child.kill('SIGINT')
  io.interrupted.addEventListener('abort', stop, { once: true })
  const ended = new Promise<number | null>((resolve, reject) =>
    child.on('error', reject).on('close', resolve),
  )
  const problems = (async () => {
    for await (const part of child.stderr) await write(io.stderr, harmless(String(part)))
  })()
  let report: Report | null = null
  for await (const line of createInterface({ input: child.stdout })) {
    const told = toldBy(line)
    if (told?.report) report = told.report
    else if (told?.case && !json) await write(io.stdout, lineOf(io, told.case))
    // What the adapter itself prints.
    else if (!told) await write(io.stderr, harmless(`${line}\n`))
  }
  const [code] = await Promise.all([ended, problems])
  io.interrupted.removeEventListener('abort', stop)
  if (io.interrupted.aborted) return exits.interrupted
  if (report === null) return code === exits.usage ? exits.usage : exits.client
  if (json) await printJson(io, report)
  else await write(io.stdout, summaryOf(report))
  return report.ok ? exits.ok : exits.failed
}

function toldBy(line: string): { case?: Result; report?: Report } | null {
  try {
    const value = JSON.parse(line) as { case?: Result; report?: Report }
    return value.case || value.report ? value : null
  } catch {
    return null
  }
}

function lineOf(io: Io, { name, outcome, detail }: Result): string {
  if (outcome === 'skipped') return '' // told at the end, by reason
  if (outcome === 'passed') return `${paint(io, io.stdout, 'green', 'ok  ')} ${oneLine(name)}\n`
  return `${paint(io, io.stdout, 'red', 'FAIL')} ${oneLine(name)}\n     ${oneLine(detail ?? '')}\n`
}

function summaryOf({ subject, passed, failed, skipped, cases }: Report): string {
  const reasons = new Map<string, string[]>()
  for (const { name, outcome, detail } of cases)
    if (outcome === 'skipped') reasons.set(detail ?? '', [...(reasons.get(detail ?? '') ?? []), name])
  const lines = [...reasons].map(
    ([reason, names]) => `\nskipped, ${reason}:\n${names.map((name) => `     ${name}\n`).join('')}`,
  )
  return harmless(`${lines.join('')}\n${subject}: ${passed} passed, ${failed} failed, ${skipped} skipped\n`)
}
