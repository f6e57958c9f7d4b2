// moto's server: AWS Batch as others understand it, for the calls that it has. It runs nothing: a job has succeeded when it
// is submitted. It checks no signatures.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience_ms } from './patience.ts'
import { freePort } from './server.ts'

const program = resolve(import.meta.dirname, '../../.venv/bin/moto_server')

/** Why there is none; null: there is one. */
export const noMoto = existsSync(program)
  ? null
  : 'moto is not installed: `npm test` makes the Python environment that has it'

export async function startMoto() {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  await ready(child, url)
  // Without Docker, and with the simple model of Batch.
  await fetch(`${url}/moto-api/config`, { method: 'POST', body: '{"batch": {"use_docker": false}}' })
  return {
    url,
    async close() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function ready(child: ChildProcess, url: string): Promise<void> {
  for (
    const until = Date.now() + patience_ms;
    Date.now() < until && child.exitCode === null;
    await sleep(100)
  )
    if (
      await fetch(`${url}/moto-api/`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return
  child.kill('SIGKILL')
  throw new Error('moto did not start')
}
