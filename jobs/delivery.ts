// What becomes of a message and of its receiver after an attempt. Pure.

/** A receiver must answer within this, its answer's body too; the specification names 15 to 30 s. */
export const delivery_ms = 15_000
/** Waits after each failed attempt, in seconds, with jitter: three days in all. */
const schedule_s = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000]
const jitter = 0.2
/**
 * With the jitter a message is tried for up to three days and a half. One that has waited longer, because its receiver
 * takes nothing, is given up.
 */
export const stale_ms = 4 * 86_400_000
/** What a receiver may ask for by Retry-After: of one message, and of all messages to it. */
const maxRetryAfter_s = 86_400
const maxThrottle_s = 3_600

/** Messages in flight to one receiver: few until it has answered, then one more with each success, half with each failure. */
export const firstRoom = 2
const maxRoom = 16
/** Failures in a row from which a receiver is taken to be down: then one message at a time finds out whether it still is. */
const downAfter = 5
/** Between two such tries: doubled from the first to the last. */
const firstPause_s = 5
const maxPause_s = 900
/** An endpoint that has taken nothing for this long is disabled: longer than any message is tried. */
const failing_ms = 5 * 86_400_000

/** What came of one attempt. */
export interface Answer {
  /** null: none came; `error` says why. */
  status: number | null
  error: string | null
  /** The beginning of what was answered. */
  response: string | null
  retry_after_s: number | null
}

export interface Standing {
  room: number
  failures: number
  failing_since: Date | null
  closed_until: Date | null
}

export type Next =
  | { state: 'delivered' | 'exhausted'; next_attempt_at: null }
  | { state: 'pending'; next_attempt_at: Date }

export const isDelivered = ({ status }: Pick<Answer, 'status'>) =>
  status !== null && status >= 200 && status < 300
/** The receiver wants no more, of this or of anything. */
const isGone = ({ status }: Pick<Answer, 'status'>) => status === 410

/** A message after its newest attempt: how many there were before it was asked for again, if it was. */
interface Tried {
  attempts: number
  round: number
  created_at: Date
}

export function afterAttempt(
  { attempts, round, created_at }: Tried,
  answer: Answer,
  now: Date,
  share: number,
): Next {
  if (isDelivered(answer)) return { state: 'delivered', next_attempt_at: null }
  const usual_s = schedule_s[attempts - round - 1]
  const isStale = round === 0 && now.getTime() - created_at.getTime() > stale_ms
  if (isGone(answer) || usual_s === undefined || isStale) return { state: 'exhausted', next_attempt_at: null }
  const asked_s = Math.min(answer.retry_after_s ?? 0, maxRetryAfter_s)
  return { state: 'pending', next_attempt_at: later(now, Math.max(asked_s, usual_s), share) }
}

/** How a receiver stands after an attempt that began at a time. */
export function afterAnswer(
  before: Standing,
  answer: Answer,
  began: Date,
  now: Date,
  share: number,
): Standing {
  if (isDelivered(answer))
    return { room: Math.min(maxRoom, before.room + 1), failures: 0, failing_since: null, closed_until: null }
  if (isGone(answer)) return before
  // What was in flight when the receiver was found to be down says nothing new.
  const isNews = before.closed_until === null || began >= before.closed_until
  const failures = before.failures + (isNews ? 1 : 0)
  const pause_s = failures < downAfter ? 0 : Math.min(maxPause_s, firstPause_s * 2 ** (failures - downAfter))
  const asked_s = isThrottled(answer) ? Math.min(answer.retry_after_s ?? 0, maxThrottle_s) : 0
  const wait_s = Math.max(isNews ? pause_s : 0, asked_s)
  const until = wait_s === 0 ? null : later(now, wait_s, share)
  return {
    room: Math.max(1, before.room >> 1),
    failures,
    failing_since: before.failing_since ?? began,
    closed_until: latest(before.closed_until, until),
  }
}

/** How many messages may be in flight to a receiver. */
export const roomOf = ({ room, failures }: Pick<Standing, 'room' | 'failures'>) =>
  failures >= downAfter ? 1 : room

/** Why an endpoint is disabled after an attempt; null: it is not. */
export function whyDisabled(
  answer: Answer,
  { failing_since }: Standing,
  now: Date,
): 'gone' | 'failing' | null {
  if (isGone(answer)) return 'gone'
  return failing_since !== null && now.getTime() - failing_since.getTime() >= failing_ms ? 'failing' : null
}

/** Seconds that a header asks for: a number of them, or a date. */
export function retryAfter_s(header: string | null, now: Date): number | null {
  if (header === null) return null
  const seconds = /^\d{1,9}$/.test(header.trim())
    ? Number(header)
    : (Date.parse(header) - now.getTime()) / 1_000
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null
}

const isThrottled = ({ status }: Answer) => status === 429 || status === 503

const later = (now: Date, seconds: number, share: number) =>
  new Date(now.getTime() + seconds * 1_000 * (1 + jitter * share))

const latest = (a: Date | null, b: Date | null) => (a && b ? (a > b ? a : b) : (a ?? b))
