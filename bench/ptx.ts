// `npm run bench -- ptx`: compiles every kernel of the backtest program for every kind of GPU, with no GPU: how long
// each takes, and the registers, local memory and spilled bytes of a thread (by ptxas).
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Measurement, rounded } from './measurement.ts'

/** Thirty compilations of ten seconds, on a machine that does other things too. */
const limit_ms = 3_600_000

const root = join(import.meta.dirname, '..')
const { ensureCuda } = (await import(join(root, 'infra', 'cuda-env.mjs'))) as {
  ensureCuda: () => Promise<string>
}

export const measure: Measurement = async () => {
  const python = await ensureCuda()
  // -P: the folder of the tests' coverage, where it is run, is no Python package of that name.
  const output = execFileSync(python, ['-P', '-m', 'berth_backtest.gpu.ptx'], {
    env: { ...process.env, PYTHONPATH: join(root, 'containers', 'backtest') },
    timeout: limit_ms,
    encoding: 'utf8',
  })
  const kernels = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, Record<string, number>>
  const rows = Object.entries(kernels).flatMap(([name, row]) =>
    Object.entries(row).map(([figure, value]) => [`${name} ${figure}`.replaceAll(' ', '_'), value] as const),
  )
  const most = (figure: string) => Math.max(...Object.values(kernels).map((row) => row[figure] ?? 0))
  return {
    figures: {
      compiled: Object.keys(kernels).length,
      most_spill_bytes: most('spill_bytes'),
      most_seconds: rounded(most('seconds')),
      ...Object.fromEntries(rows),
    },
    targets: { compiled: { at_least: 36 }, most_spill_bytes: { at_most: 0 } },
  }
}
