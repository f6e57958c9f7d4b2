import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'

/** As a key object it is prepared once: that costs more than a token does. */
export type RunnerKey = Uint8Array | KeyObject

/** Who a runner works for. */
export interface Bearer {
  attempt_id: string
  shard_id: string
  nonce: string
}

/**
 * A runner's bearer token, `brt_<shard>.<nonce>.<mac>`: any replica can make it again from the intent, and it says
 * by itself which shard it is for, so that a database that lost the intent can still check it. Shown to nobody but
 * the runner.
 */
export function runnerToken(runner_key: RunnerKey, { attempt_id, shard_id, nonce }: Bearer): string {
  const mac = createHmac('sha256', runner_key).update(`${attempt_id}\n${shard_id}\n${nonce}`)
  return `brt_${shard_id}.${nonce}.${mac.digest('base64url')}`
}

/** Who a token that we made for this attempt speaks for; null: we did not make it. */
export function readToken(runner_key: RunnerKey, attempt_id: string, token: string): Bearer | null {
  const match = /^brt_(shd_[a-z0-9]{1,40})\.([A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{43}$/.exec(token)
  if (!match?.[1] || !match[2]) return null
  const bearer = { attempt_id, shard_id: match[1], nonce: match[2] }
  return sameToken(token, runnerToken(runner_key, bearer)) ? bearer : null
}

/** Compares secrets in a time that does not tell where they differ. */
export function sameToken(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
