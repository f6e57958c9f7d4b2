// `npm run bench -- peers [--bars 1000] [--symbols 100]`: the moving-average sweep beside vectorbt (both from prices to metrics; and
// vectorbt from signals that are made before the clock runs) and backtesting.py (one set of one symbol, given its signals), which take
// turns in one run. Ours has two threads, the others one. It needs the environment that `npm run test:peers` makes.
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

export const measure: Measurement = (options) => {
  const [bars, symbols] = [option(options, 'bars', 1_000), option(options, 'symbols', 100)]
  return Promise.resolve({
    figures: measuredInPython('peers.py', [bars, symbols], '.venv-peers'),
    targets: { core_over_vectorbt: { at_least: 300 }, default_over_vectorbt: { at_least: 100 } },
  })
}
