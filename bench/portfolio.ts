// `npm run bench -- portfolio [--bars 1000] [--symbols 100] [--market 4500]`: what is not a grid of a built-in
// strategy, two threads: a user's step over a grid, random points, the daily top 50 of a market, and one run.
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

export const measure: Measurement = (options) => {
  const sizes = [
    option(options, 'bars', 1_000),
    option(options, 'symbols', 100),
    option(options, 'market', 4_500),
  ]
  return Promise.resolve({
    figures: measuredInPython('portfolio.py', sizes),
    targets: {
      user_step_m_per_s: { at_least: 400 },
      random_points_m_per_s: { at_least: 400 },
      top_k_m_per_s: { at_least: 10 },
      single_run_ms: { at_most: 15 },
      single_run_from_start_ms: { at_most: 1_000 },
    },
  })
}
