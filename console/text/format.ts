// Figures as people read them. Money is exact: six decimals at most, as the API has it, and never rounded to nothing.
import type { Language } from './texts.ts'

/** To make a formatter takes longer than to draw a row: each is made once. */
const made = new Map<string, unknown>()

function once<Format, Options>(kind: string, make: (language: Language, options: Options) => Format) {
  return (language: Language, options: Options): Format => {
    const key = `${kind} ${language} ${JSON.stringify(options)}`
    const known = made.get(key) ?? make(language, options)
    made.set(key, known)
    return known as Format
  }
}

const numbers = once(
  'number',
  (language, options: Intl.NumberFormatOptions | undefined) => new Intl.NumberFormat(language, options),
)
const dates = once(
  'date',
  (language, options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language, options),
)
const relative = once(
  'relative',
  (language, options: Intl.RelativeTimeFormatOptions) => new Intl.RelativeTimeFormat(language, options),
)

export function money(usd: number, language: Language): string {
  const small = usd !== 0 && Math.abs(usd) < 1
  return numbers(language, {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: 2,
    maximumFractionDigits: small ? 6 : 2,
  }).format(usd)
}

/** Every decimal of it, for a title beside the short form. */
export const exactMoney = (usd: number): string =>
  `${usd.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 })} USD`

export const percent = (share: number, language: Language, digits = 0): string =>
  numbers(language, {
    style: 'percent',
    maximumFractionDigits: digits,
    minimumFractionDigits: digits,
  }).format(share)

export const count = (value: number, language: Language): string => numbers(language, undefined).format(value)

/** Two units at most: `1 h 05 min`, `3.2 s`. */
export function duration(seconds: number, language: Language): string {
  const units = language === 'en' ? ['d', 'h', 'min', 's', 'ms'] : ['天', '小时', '分', '秒', '毫秒']
  const [d, h, min, s, ms] = units
  const whole = Math.max(0, seconds)
  if (whole < 1) return `${Math.round(whole * 1_000)} ${ms}`
  if (whole < 10) return `${whole.toFixed(1)} ${s}`
  if (whole < 60) return `${Math.round(whole)} ${s}`
  if (whole < 3_600) return `${Math.floor(whole / 60)} ${min} ${pad(whole % 60)} ${s}`
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} ${h} ${pad((whole % 3_600) / 60)} ${min}`
  return `${Math.floor(whole / 86_400)} ${d} ${Math.floor((whole % 86_400) / 3_600)} ${h}`
}
const pad = (value: number) => String(Math.floor(value)).padStart(2, '0')

export function bytes(value: number, language: Language): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(names.length - 1, value < 1 ? 0 : Math.floor(Math.log2(value) / 10))
  const digits = step === 0 ? 0 : 1
  return `${numbers(language, { maximumFractionDigits: digits }).format(value / 1024 ** step)} ${names[step]}`
}

/** In the viewer's zone. */
export const dateTime = (at: string, language: Language): string =>
  dates(language, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' }).format(new Date(at))

export const clockTime = (at: string, language: Language): string =>
  dates(language, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(new Date(at))

/** `3 min ago`; beyond a week the day. */
export function ago(at: string, now: Date, language: Language): string {
  const seconds = (new Date(at).getTime() - now.getTime()) / 1_000
  const format = relative(language, { numeric: 'auto', style: 'short' })
  const size = Math.abs(seconds)
  if (size < 5) return format.format(0, 'second')
  if (size < 60) return format.format(Math.round(seconds), 'second')
  if (size < 3_600) return format.format(Math.round(seconds / 60), 'minute')
  if (size < 86_400) return format.format(Math.round(seconds / 3_600), 'hour')
  if (size < 7 * 86_400) return format.format(Math.round(seconds / 86_400), 'day')
  return dates(language, { dateStyle: 'medium' }).format(new Date(at))
}
