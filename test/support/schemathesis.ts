// Requests by the OpenAPI document, valid ones and others, from schemathesis: what no mutator of ours thinks of.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'

const program = resolve(import.meta.dirname, '../../.venv/bin/schemathesis')
/** Why it cannot run; null: it can. */
export const noSchemathesis = existsSync(program)
  ? null
  : 'schemathesis is not installed: `npm test` makes the Python environment that has it'

/** A request that is not answered in this time hangs: none waits for longer than a minute that asks to. */
const request_s = 90
/** They end the credential that asks, or never end. */
const left = ['logOut', 'deletePerson', 'revokeApiKey', 'rotateApiKey', 'deleteProject', 'readFeed'] as const

export interface Fuzzed {
  requests: number
  failed: number
  /** Of the tool itself: its last lines say why. */
  code: number | null
  output: string
}

/** So many requests for each operation; a failure is an answer of 5xx, or none. */
export async function runSchemathesis(
  url: string,
  key: string,
  { examples, seed }: { examples: number; seed: number },
): Promise<Fuzzed> {
  const options = {
    header: `Authorization: Bearer ${key}`,
    checks: 'not_a_server_error',
    phases: 'fuzzing',
    'max-examples': examples,
    seed,
    'request-timeout': request_s,
    workers: 2,
    // What an earlier run has found interesting would be sent first: the same seed is to send the same.
    'generation-database': 'none',
    'exclude-operation-id-regex': `^(${left.join('|')})$`,
  }
  const named = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const args = ['run', `${url}/openapi.json`, ...named, '--no-color']
  // It leaves what it has learned of Unicode in the folder that it runs in.
  const child = spawn(program, args, { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (output += String(part)))
  const code = await new Promise<number | null>((done) => child.on('close', done))
  const [, requests = '0', passed = '0'] = /(\d+) generated, (\d+) passed/.exec(output) ?? []
  return {
    requests: Number(requests),
    failed: Number(requests) - Number(passed),
    code,
    output: output.slice(-4_000),
  }
}
