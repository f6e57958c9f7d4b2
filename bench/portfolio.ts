// `npm run bench -- portfolio [--bars 1000] [--symbols 100] [--market 4500]`: what is not a grid of a built-in
// strategy, two threads: a user's step over a grid, random points, the daily top 50 of a market, and one run.
// Its environment has the packages of the image and no others: Numba imports SciPy and coverage where developers have them.
import { resolve } from 'node:path'
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

const venv = '.venv-image'
const env = resolve(import.meta.dirname, '../infra/locked-env.mjs')
const { ensureLocked } = (await import(env)) as { ensureLocked: (wanted: object) => Promise<string> }

export const measure: Measurement = async (options) => {
  const sizes = [
    option(options, 'bars', 1_000),
    option(options, 'symbols', 100),
    option(options, 'market', 4_500),
  ]
  await ensureLocked({ venv, lock: 'requirements', about: '500 MB' })
  return {
    figures: measuredInPython('portfolio.py', sizes, venv),
    targets: {
      user_step_m_per_s: { at_least: 400 },
      random_points_m_per_s: { at_least: 400 },
      top_k_m_per_s: { at_least: 10 },
      single_run_ms: { at_most: 15 },
      single_run_from_start_ms: { at_most: 1_000 },
    },
  }
}
