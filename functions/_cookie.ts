// A session in a browser: a cookie that no script reads, no other host gets, and no other site can use.
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { CookieOptions } from 'hono/utils/cookie'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { session_s } from '../jobs/identity.ts'
import type { Env } from './_env.ts'

type Given = Pick<Deps, 'settings'>

/** With `__Host-` a browser takes it from https alone, for this host and all of its paths; plain http is for one's own machine. */
function cookieOf({ settings }: Given): { name: string; options: CookieOptions } {
  const secure = settings.public_url().startsWith('https:')
  const options = { path: '/', httpOnly: true, sameSite: 'Strict', secure } as const
  return { name: secure ? '__Host-berth' : 'berth', options }
}

export function readCookie(c: Context<Env>, deps: Given): string | undefined {
  return c.req.header('cookie') === undefined ? undefined : getCookie(c, cookieOf(deps).name)
}

export function giveCookie(c: Context<Env>, deps: Given, secret: string): void {
  const { name, options } = cookieOf(deps)
  setCookie(c, name, secret, { ...options, maxAge: session_s })
}

export function takeCookie(c: Context<Env>, deps: Given): void {
  const { name, options } = cookieOf(deps)
  deleteCookie(c, name, options)
}

/**
 * What changes something is taken with a cookie from our own pages alone: browsers say where a request comes from, in
 * `Sec-Fetch-Site` or, older ones, in `Origin`, and no page can say otherwise. Throws AppError cross_site.
 */
export function requireSameSite(c: Context<Env>, { settings }: Given): void {
  if (['GET', 'HEAD'].includes(c.req.method)) return
  const site = c.req.header('sec-fetch-site')
  const origin = c.req.header('origin')
  const isOwn = site === undefined ? isOwnOrigin(c, settings.public_url(), origin) : site === 'same-origin'
  if (!isOwn)
    throw new AppError('cross_site', 'A session of a browser is used from the pages of this server alone.')
}

/** The address that was configured, or the one that the request was sent to: a proxy may tell another than people use. */
function isOwnOrigin(c: Context<Env>, public_url: string, origin: string | undefined): boolean {
  if (origin === undefined || !URL.canParse(origin)) return false
  const { host } = new URL(origin)
  return origin === new URL(public_url).origin || host === c.req.header('host')
}
