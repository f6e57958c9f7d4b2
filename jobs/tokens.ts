import { createHmac, timingSafeEqual } from 'node:crypto'

/** A runner's bearer token: any replica can make it again from the intent. Shown to nobody but the runner. */
export function runnerToken(runner_key: Uint8Array, attempt_id: string, nonce: string): string {
  return `brt_${createHmac('sha256', runner_key).update(`${attempt_id}\n${nonce}`).digest('base64url')}`
}

export function sameToken(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
