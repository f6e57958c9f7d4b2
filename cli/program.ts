// Programs of the server's machine, run by name: a client of the API loads nothing of the server.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Io } from './io.ts'
import { write } from './text.ts'

const programOf = (name: string) => join(import.meta.dirname, '..', 'infra', `${name}.ts`)

/** What the program of infra/ prints; null: it failed, and said why. */
export async function runProgram(io: Io, program: string, args: string[]): Promise<string | null> {
  const child = spawn(process.execPath, [programOf(program), ...args], {
    cwd: io.cwd,
    env: { ...io.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [code, output, problem] = await Promise.all([
    new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve)),
    textOf(child.stdout),
    textOf(child.stderr),
  ])
  await write(io.stderr, problem)
  return code === 0 ? output.trim() : null
}

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
