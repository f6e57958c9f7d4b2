// Measurements in Python, in the environment of the checkout.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** A million rows, or the slowest sweep, in ten rounds on a busy machine. */
const limit_ms = 1_800_000

/** What a program of bench/ prints in its last line, run in an environment that has the packages it needs. Throws where it fails. */
export function measuredInPython(
  program: string,
  args: readonly number[],
  venv = '.venv',
): Record<string, number> {
  const root = join(import.meta.dirname, '..', '..')
  const python = join(root, venv, 'bin', 'python')
  const output = execFileSync(python, [join(root, 'bench', program), ...args.map(String)], {
    env: { PYTHONPATH: join(root, 'containers', 'backtest'), ...process.env },
    timeout: limit_ms,
    encoding: 'utf8',
  })
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, number>
}
