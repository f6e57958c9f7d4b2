// Figures of results by what they are: shares as percents, money without a currency, since data have theirs.
import type { Language } from './texts.ts'
import { useLanguage, useText } from './language.tsx'
import { type MetricName, metricTexts } from './results.ts'

const shares: ReadonlySet<string> = new Set([
  'total_return',
  'annual_return',
  'annual_volatility',
  'max_drawdown',
  'win_rate',
  'exposure',
  'return',
  'drawdown',
  'accuracy',
])
const counts: ReadonlySet<string> = new Set([
  'trades',
  'open_trades',
  'max_drawdown_bars',
  'ic_dates',
  'bars',
  'points',
])
const amounts: ReadonlySet<string> = new Set(['final_equity', 'fees', 'equity', 'pnl', 'units'])

export function figure(name: string, value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  if (shares.has(name)) return share(value, language)
  if (counts.has(name)) return number(value, language, Number.isInteger(value) ? 0 : 1)
  if (amounts.has(name)) return number(value, language, Math.abs(value) < 100 ? 2 : 0)
  return number(
    value,
    language,
    0 < Math.abs(value) && Math.abs(value) < 0.1 ? 4 : Math.abs(value) >= 100 ? 1 : 3,
  )
}

export const share = (value: number, language: Language, digits = 2): string =>
  new Intl.NumberFormat(language, {
    style: 'percent',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value)

export const number = (value: number, language: Language, digits = 2): string =>
  new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    value,
  )

/** Of parameters: as many digits as they have, up to six. */
export const plainNumber = (value: number, language: Language): string =>
  new Intl.NumberFormat(language, { maximumSignificantDigits: 6 }).format(value)

export const shortNumber = (value: number, language: Language): string =>
  new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 }).format(value)

/** The name of a metric; one that is not known here has its own. */
export function useMetricName(): (name: string) => string {
  const t = useText(metricTexts)
  return (name) => (name in metricTexts ? t(name as MetricName) : name)
}

export function useFigure(): (name: string, value: number | null | undefined) => string {
  const language = useLanguage()
  return (name, value) => figure(name, value, language)
}
