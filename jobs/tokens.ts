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
export function runnerToken(runner_key: RunnerKey, bearer: Bearer): string {
  return tokenOf(runner_key, 'brt', bearer)
}

/** What stands in the user data of a machine, `brb_...`: good for one exchange, and of no use to find the other one. */
export function bootstrapToken(runner_key: RunnerKey, bearer: Bearer): string {
  return tokenOf(runner_key, 'brb', bearer)
}

type Prefix = 'brt' | 'brb'

function tokenOf(runner_key: RunnerKey, prefix: Prefix, { attempt_id, shard_id, nonce }: Bearer): string {
  const of = prefix === 'brt' ? '' : 'bootstrap\n'
  const mac = createHmac('sha256', runner_key).update(`${of}${attempt_id}\n${shard_id}\n${nonce}`)
  return `${prefix}_${shard_id}.${nonce}.${mac.digest('base64url')}`
}

/** Who a token that we made for this attempt speaks for; null: we did not make it. */
export function readToken(runner_key: RunnerKey, attempt_id: string, token: string): Bearer | null {
  return readAs('brt', runner_key, attempt_id, token)
}

/** The same of a machine's. */
export function readBootstrapToken(runner_key: RunnerKey, attempt_id: string, token: string): Bearer | null {
  return readAs('brb', runner_key, attempt_id, token)
}

function readAs(prefix: Prefix, runner_key: RunnerKey, attempt_id: string, token: string): Bearer | null {
  const match = /^br[tb]_(shd_[a-z0-9]{1,40})\.([A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{43}$/.exec(token)
  if (!match?.[1] || !match[2]) return null
  const bearer = { attempt_id, shard_id: match[1], nonce: match[2] }
  return sameToken(token, tokenOf(runner_key, prefix, bearer)) ? bearer : null
}

/** Compares secrets in a time that does not tell where they differ. */
export function sameToken(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
