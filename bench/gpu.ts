// `npm run bench -- gpu [--symbols 100] [--bars 1000]`: sweeps of 1e11 bar-updates on a GPU, device time and end to end
// apart, beside the same sweep on the CPU. Without a GPU it says so, and why.
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

/** Less would not fill a large GPU for long enough to be measured. */
const updates = 1e11

export const measure: Measurement = (options) => {
  const [bars, symbols] = [option(options, 'bars', 1_000), option(options, 'symbols', 100)]
  const figures = measuredInPython('gpu.py', [bars, symbols, updates])
  if ('skipped' in figures) return Promise.resolve({ figures, targets: {} })
  return Promise.resolve({
    figures,
    targets: { core_device_g_per_s: { at_least: 300 }, default_device_g_per_s: { at_least: 80 } },
  })
}
