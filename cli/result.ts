import { rename, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { answered, jobId } from './client.ts'
import { action, type Context, openClient, subcommand } from './command.ts'
import { exits } from './exit.ts'
import { write } from './text.ts'

interface Options {
  output?: string
  json?: true
}

export function addResult(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'result <id>', 'print the result of a job, which is JSON')
    .option('-o, --output <file>', 'write it to a file')
    .action(
      action(context, async (id: string, { output, json }: Options) => {
        const result = await answered(openClient(io).v1.jobs[':id'].result.$get({ param: { id: jobId(id) } }))
        const text = `${JSON.stringify(result, null, 2)}\n`
        if (output === undefined) {
          await write(io.stdout, text)
          return exits.ok
        }
        const path = resolve(io.cwd, output)
        await writeWhole(path, text)
        await write(io.stdout, json ? `${JSON.stringify({ path })}\n` : `${path}\n`)
        return exits.ok
      }),
    )
}

/** The file appears whole or not at all. */
async function writeWhole(path: string, text: string): Promise<void> {
  const part = `${path}.part-${process.pid}`
  try {
    await writeFile(part, text, { flag: 'wx' })
    await rename(part, path)
  } finally {
    await rm(part, { force: true })
  }
}
