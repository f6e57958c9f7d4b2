// What every measurement shares.
export interface Measured {
  figures: Record<string, number | string>
  targets: Record<string, { at_most?: number; at_least?: number }>
}
export type Measurement = (options: readonly string[]) => Promise<Measured>

/** The value below which a share of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const rounded = (value: number, digits = 2) => Number(value.toFixed(digits))

/** `--name 5` as a number. */
export function option(options: readonly string[], name: string, fallback: number): number {
  const at = options.indexOf(`--${name}`)
  const value = Number(options[at + 1])
  return at >= 0 && Number.isFinite(value) ? value : fallback
}
