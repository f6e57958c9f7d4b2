// Figures of a result as charts want them: months, rolling windows, what is near. Plain functions, tested alone.

export interface Month {
  year: number
  /** From 0. */
  month: number
  value: number
}

/** Returns by month: equity at its last date over that of the month before, the first over the cash. */
export function monthlyReturns(
  dates: readonly string[],
  equity: readonly (number | null)[],
  cash: number,
): Month[] {
  const months: Month[] = []
  let before = cash
  for (let at = 0; at < dates.length; at++) {
    const key = dates[at]?.slice(0, 7)
    if (key === undefined || dates[at + 1]?.slice(0, 7) === key) continue
    const value = equity[at]
    if (value === null || value === undefined) continue
    if (before > 0) {
      const [year, month] = key.split('-').map(Number)
      months.push({ year: year ?? 0, month: (month ?? 1) - 1, value: value / before - 1 })
    }
    before = value
  }
  return months
}

/** The year's return: its months one after the other. */
export const yearReturn = (months: readonly Month[]): number =>
  months.reduce((product, { value }) => product * (1 + value), 1) - 1

export interface SharpeOf {
  cash: number
  /** Bars a year. */
  periods: number
  risk_free: number
  window: number
}

/** mean(x) / std(x, ddof 1) sqrt(P) of the last returns, x = r - risk_free / P (docs/conventions.md, section 4). */
export function rollingSharpe(
  equity: readonly (number | null)[],
  { cash, periods, risk_free, window }: SharpeOf,
): (number | null)[] {
  const excess = equity.map((value, at) => {
    const before = at === 0 ? cash : equity[at - 1]
    return value === null || !before ? 0 : value / before - 1 - risk_free / periods
  })
  return equity.map((_, at) => {
    if (at + 1 < window) return null
    const last = excess.slice(at + 1 - window, at + 1)
    const mean = last.reduce((sum, x) => sum + x, 0) / window
    const variance = last.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (window - 1)
    // Of a curve that stands still there is none.
    return variance > 1e-24 ? (mean / Math.sqrt(variance)) * Math.sqrt(periods) : null
  })
}

/** Pairs for a line, nothing where there is no value. */
export const pairs = (dates: readonly string[], values: readonly (number | null)[] | undefined) =>
  dates.map((date, at) => [date, values?.[at] ?? null] as const)

type Values = readonly (number | null)[]

/** A column of curves; none where it was left out. */
export const column = <Name extends string>(
  { series }: { series: Readonly<Partial<Record<Name, Values | undefined>>> },
  name: Name,
): Values => series[name] ?? []

export const lastOf = (values: readonly (number | null)[]): number | null =>
  values.findLast((each) => each !== null) ?? null

export const leastOf = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((each) => each !== null)
  return known.length === 0 ? null : known.reduce((least, each) => Math.min(least, each))
}
export const greatestOf = (values: readonly (number | null)[]): number | null => {
  const known = values.filter((each) => each !== null)
  return known.length === 0 ? null : known.reduce((most, each) => Math.max(most, each))
}
