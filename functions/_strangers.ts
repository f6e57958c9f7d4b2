// Bounds what comes from an address without a credential that holds, before the database is asked whose it is.
import { hash } from 'node:crypto'
import type { Context } from 'hono'
import type { Clock, Settings } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Rates } from '../jobs/rates.ts'
import { addressOf } from './_address.ts'
import type { CallerCheck } from './_auth.ts'
import { readCookie } from './_cookie.ts'
import type { Env } from './_env.ts'

/** Credentials that held a while ago: whoever sends one is asked for, however many strangers sit behind the same address. */
const maxHeld = 10_000

interface Given {
  clock: Clock
  rates: Rates | null
  settings: Settings
}

/** The check, asked for strangers no more often than their address may. What it answers is the check's alone. */
export function limitStrangers(deps: Given, check: CallerCheck): CallerCheck {
  const { rates } = deps
  if (rates === null) return check
  const held = new Set<string>()
  return async (c, project) => {
    const address = addressOf(c, deps.settings.is_proxy)
    if (address === null) return check(c, project)
    const now_ms = deps.clock.now().getTime()
    const sent = hash('sha256', sentBy(c, deps))
    if (!held.has(sent)) {
      const { tokens, wait_s } = rates.addresses.look(address, now_ms)
      if (tokens < 1) throw tooMany(rates.addresses.per_s, wait_s(1))
    }
    try {
      const caller = await check(c, project)
      held.delete(sent)
      held.add(sent)
      const [oldest] = held
      if (held.size > maxHeld && oldest !== undefined) held.delete(oldest)
      return caller
    } catch (error) {
      if (error instanceof AppError && error.code === 'unauthorized') {
        held.delete(sent)
        rates.addresses.ask(address, now_ms)
        rates.addresses.take(address, now_ms)
      }
      throw error
    }
  }
}

const sentBy = (c: Context<Env>, deps: Given) => c.req.header('authorization') ?? readCookie(c, deps) ?? ''

const tooMany = (per_s: number, wait_s: number) =>
  new AppError(
    'rate_limited',
    `From your address ${per_s} requests a second may come without a credential that holds.`,
    { headers: { 'Retry-After': String(Math.max(1, wait_s)) } },
  )
