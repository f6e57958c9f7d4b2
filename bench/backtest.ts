// `npm run bench -- backtest [--bars 1000] [--symbols 100]`: parameter sweeps in the kernel, two threads, next to
// the same sweep in NumPy, one set at a time over all symbols; the rounds of all of them take turns in one run.
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

export const measure: Measurement = (options) => {
  const [bars, symbols] = [option(options, 'bars', 1_000), option(options, 'symbols', 100)]
  return Promise.resolve({
    figures: measuredInPython('backtest.py', [bars, symbols]),
    targets: {
      core_g_per_s: { at_least: 2 },
      default_g_per_s: { at_least: 0.6 },
      rsi_g_per_s: { at_least: 1 },
      bollinger_g_per_s: { at_least: 1 },
    },
  })
}
