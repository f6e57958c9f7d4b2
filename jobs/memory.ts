// What is remembered of offers that refused a launch, so that they are not asked again at once. Pure.
import type { ProviderErrorCode } from '../providers/errors.ts'

/** Refusals that pass by themselves or by somebody's doing, and that say nothing about the work. */
export const rememberedCodes = [
  'capacity',
  'quota',
  'balance',
  'unauthorized',
  'throttled',
  'unavailable',
] as const
export type RememberedCode = (typeof rememberedCodes)[number]

export interface Remembered {
  code: RememberedCode
  /** Refusals in a row, halved each hour without one. */
  failures: number
  blocked_until: Date
  updated_at: Date
}

interface Rule {
  /** After the first refusal, and at most: doubled by each. */
  first_s: number
  most_s: number
  /** Whether it holds for every offer of the account. */
  account: boolean
}

// Stock comes back within minutes or not for hours; a quota or a bill needs a person, who wants to see it work soon
// after.
const rules: Record<RememberedCode, Rule> = {
  capacity: { first_s: 60, most_s: 1_800, account: false },
  quota: { first_s: 300, most_s: 3_600, account: false },
  balance: { first_s: 300, most_s: 3_600, account: true },
  unauthorized: { first_s: 120, most_s: 1_800, account: true },
  // Quotas of calls are of a second or a minute.
  throttled: { first_s: 10, most_s: 300, account: true },
  // Told anew by every probe that fails (jobs/parking.ts), and longer than the pause between two.
  unavailable: { first_s: 60, most_s: 60, account: true },
}
const halfLife_ms = 3_600_000

export function isRemembered(code: ProviderErrorCode): code is RememberedCode {
  return (rememberedCodes as readonly string[]).includes(code)
}

/** Whether a refusal says that the account itself is not in order, until somebody does something. */
export const parks = (code: ProviderErrorCode): code is 'balance' | 'unauthorized' =>
  code === 'balance' || code === 'unauthorized'

/** Whether a refusal of this code blocks the whole account. */
export const blocksAccount = (code: RememberedCode): boolean => rules[code].account

/** The memory after one more refusal. */
export function remember(before: Remembered | null, code: RememberedCode, now: Date): Remembered {
  // Launches that were under way when the first was refused: they tell nothing new.
  if (before?.code === code && rules[code].account && now < before.blocked_until) return before
  const { first_s, most_s } = rules[code]
  const age_ms = before ? now.getTime() - before.updated_at.getTime() : 0
  const left = before ? before.failures * 0.5 ** (Math.max(0, age_ms) / halfLife_ms) : 0
  const failures = left + 1
  const blocked_ms = Math.min(most_s, first_s * 2 ** (failures - 1)) * 1_000
  return { code, failures, blocked_until: new Date(now.getTime() + Math.round(blocked_ms)), updated_at: now }
}
