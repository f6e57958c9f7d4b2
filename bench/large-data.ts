// `npm run bench -- large-data [--symbols 1000] [--bars 100000]`: a sweep of 16 sets over a hundred million one-minute bars in a
// job of 4 GiB, which holds them on the disk: its peak of memory without page cache, and its rate beside that of the same
// prices in memory. It needs some 11 GiB of disk in TMPDIR, which it frees again, and for the second 11 GiB of memory.
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

export const measure: Measurement = (options) => {
  const [symbols, bars] = [option(options, 'symbols', 1_000), option(options, 'bars', 100_000)]
  return Promise.resolve({
    figures: measuredInPython('large-data.py', [symbols, bars]),
    targets: { peak_anonymous_gib: { at_most: 4 }, disk_over_memory: { at_least: 0.5 } },
  })
}
