// `npm run bench -- backtest [--bars 1000] [--symbols 100]`: parameter sweeps in the kernel, two threads, next to
// the same sweep in NumPy, one set at a time over all symbols; the rounds of all of them take turns in one run.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Measurement, option } from './measurement.ts'

/** Compiling comes before, and ten rounds of the slowest sweep on a busy machine. */
const limit_ms = 1_800_000

export const measure: Measurement = (options) => {
  const [bars, symbols] = [option(options, 'bars', 1_000), option(options, 'symbols', 100)]
  const root = join(import.meta.dirname, '..')
  const python = join(root, '.venv', 'bin', 'python')
  const program = join(import.meta.dirname, 'backtest.py')
  const output = execFileSync(python, [program, `${bars}`, `${symbols}`], {
    timeout: limit_ms,
    encoding: 'utf8',
  })
  const figures = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, number>
  return Promise.resolve({
    figures,
    targets: {
      core_g_per_s: { at_least: 2 },
      default_g_per_s: { at_least: 0.6 },
      rsi_g_per_s: { at_least: 1 },
      bollinger_g_per_s: { at_least: 1 },
    },
  })
}
