// The suite as a program: node providers/conformance/program.ts MODULE [TEXT]. One line of JSON for each case, then the report.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runConformance } from './run.ts'
import type { Subject } from './subject.ts'

const [module = '', text = ''] = process.argv.slice(2)
const interrupt = new AbortController()
// Once: what runs at a real cloud is closed first; a second signal ends the program at once.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort())

const write = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)

try {
  const subject = await load(module)
  const report = await runConformance(subject, {
    signal: interrupt.signal,
    log: (result) => write({ case: result }),
    only: (name) => name.includes(text),
  })
  write({ report })
  process.exitCode = report.ok ? 0 : 1
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = interrupt.signal.aborted ? 130 : 2
}

async function load(name: string): Promise<Subject> {
  const loaded = await importOf(name)
  const given = loaded['subject'] ?? loaded['default']
  const subject: unknown = typeof given === 'function' ? await (given as () => unknown)() : given
  const { open } = (subject ?? {}) as Partial<Subject>
  if (typeof open === 'function') return { ...(subject as Subject), name: (subject as Subject).name ?? name }
  throw new Error(`${name} has no subject: export one, as "subject" or as the default (docs/providers.md)`)
}

async function importOf(name: string): Promise<Record<string, unknown>> {
  const isPath = /^\.{0,2}\//.test(name) || /\.[cm]?[jt]s$/.test(name)
  const source = isPath ? pathToFileURL(resolve(name)).href : name
  try {
    return (await import(source)) as Record<string, unknown>
  } catch (error) {
    const { message } = error as Error
    throw new Error(`${name} cannot be loaded: ${message}`, { cause: error })
  }
}
