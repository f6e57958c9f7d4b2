// What every answer tells a browser, and which other sites' pages may read it.
import type { MiddlewareHandler } from 'hono'
import type { Deps } from '../jobs/deps.ts'
import type { Env } from './_env.ts'

/** Answers are data: a browser that is led to one runs nothing of it. What shows pages says otherwise for them. */
const ofData = "default-src 'none'; frame-ancestors 'none'"

/**
 * The reference page runs a script of a public network. In a sandbox it has no origin, so that it is another site to this server and
 * no cookie goes with what it asks.
 */
const ofReference = [
  'sandbox allow-scripts allow-popups allow-forms',
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval' https://cdn.jsdelivr.net",
  "style-src 'unsafe-inline' https:",
  'font-src https: data:',
  'img-src https: data:',
  'connect-src *',
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A year, as browsers' lists ask for. */
const hsts = 'max-age=31536000'

export function tellBrowsers({ settings }: Pick<Deps, 'settings'>): MiddlewareHandler<Env> {
  return async (c, next) => {
    c.header('X-Content-Type-Options', 'nosniff')
    c.header('Referrer-Policy', 'no-referrer')
    c.header('Content-Security-Policy', c.req.path === '/reference' ? ofReference : ofData)
    if (settings.public_url().startsWith('https:')) c.header('Strict-Transport-Security', hsts)
    // The page in its sandbox reads it as another site.
    if (c.req.path === '/openapi.json') c.header('Access-Control-Allow-Origin', '*')
    await next()
  }
}

const methods = 'GET, POST, PUT, PATCH, DELETE'
const sent = 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Berth-Project, Range'
const shown =
  'X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Idempotent-Replayed, Content-Range'
/** How long a browser goes by an answer to what it asks beforehand. */
const known_s = '600'

/** Pages of the origins that are listed may ask with a key or a token. Cookies are for the own pages: no credentials are allowed. */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler<Env> {
  if (origins.length === 0) return (_, next) => next()
  return async (c, next) => {
    c.header('Vary', 'Origin')
    const origin = c.req.header('origin')
    if (origin === undefined || !origins.includes(origin)) return next()
    c.header('Access-Control-Allow-Origin', origin)
    c.header('Access-Control-Expose-Headers', shown)
    if (c.req.method !== 'OPTIONS' || c.req.header('access-control-request-method') === undefined)
      return next()
    c.header('Access-Control-Allow-Methods', methods)
    c.header('Access-Control-Allow-Headers', sent)
    c.header('Access-Control-Max-Age', known_s)
    return c.body(null, 204)
  }
}
