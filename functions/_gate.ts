// What a request passes before its handler, by the right that its operation needs (functions/_rights.ts).
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { isFromHere } from './_address.ts'
import {
  createCallerCheck,
  requireCaller,
  requireOwnerOrOperator,
  requirePrincipal,
  requireRunner,
  requireToken,
} from './_auth.ts'
import { boundedJson, maxJson_bytes } from './_body.ts'
import type { Env } from './_env.ts'
import { limitRate } from './_rate.ts'
import { type Right, rights } from './_rights.ts'
import { requireScope } from './_scopes.ts'
import { limitStrangers } from './_strangers.ts'

/** A log chunk of 256 KiB whose every character is escaped (`\u001b`) still fits. */
const maxRunnerJson_bytes = 2 * 1024 ** 2
/** Two short strings, from whoever sends a token. */
const maxBootstrap_bytes = 16 * 1024

/** Some short strings, from whoever sends them. */
const maxStranger_bytes = 16 * 1024

/** What belongs to the project that the path names. */
const ofProject = '/v1/projects/{id}'

/** Pages for people, and the document: no operations. */
const pages = ['/', '/openapi.json', '/reference']

/**
 * Puts the guards of its right before each operation that is added from now on. Adding one without an entry throws; `complete`
 * throws for an entry without an operation, and for a route that is none.
 */
export function guardRoutes(app: OpenAPIHono<Env>, guardsOf: Guards, table: Record<string, Right> = rights) {
  const names = new Set<string>()
  const add = app.openapi as unknown as (route: RouteConfig, ...rest: unknown[]) => typeof app
  const guarded: typeof add = (route, ...rest) => {
    const name = route.operationId ?? `${route.method} ${route.path}`
    const right = table[name]
    if (!right) throw new Error(`functions/_rights.ts has no entry for ${name}`)
    names.add(name)
    return add({ ...route, middleware: guardsOf(route, right) } as RouteConfig, ...rest)
  }
  app.openapi = guarded as unknown as typeof app.openapi
  return {
    complete: () => {
      const unused = Object.keys(table).filter((name) => !names.has(name))
      if (unused.length > 0) throw new Error(`functions/_rights.ts names ${unused.join(', ')}: no such route`)
      const known = new Set(operations(app).map(({ method, path }) => `${method} ${path}`))
      for (const { method, path } of app.routes)
        if (method !== 'ALL' && !pages.includes(path) && !known.has(`${method} ${path}`))
          throw new Error(`${method} ${path} is no operation: functions/_rights.ts cannot say who may`)
    },
  }
}

/** What is answered where nothing is: 405 where another method of the path is offered. */
export function notServed(app: OpenAPIHono<Env>): (c: Context<Env>) => never {
  let paths: { pattern: RegExp; method: string }[] | null = null
  return (c) => {
    paths ??= operations(app).map(({ method, path }) => ({
      method,
      pattern: new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`),
    }))
    const offered = new Set(
      paths.flatMap(({ pattern, method }) => (pattern.test(c.req.path) ? [method] : [])),
    )
    if (offered.has('GET')) offered.add('HEAD')
    const allow = [...offered].join(', ')
    if (offered.size > 0 && !offered.has(c.req.method))
      throw new AppError('method_not_allowed', `Offered here: ${allow}.`, { headers: { Allow: allow } })
    throw new AppError('not_found', 'There is no such address: see /reference.')
  }
}

/** Method and path of every operation, as Hono writes them. */
function operations(app: OpenAPIHono<Env>) {
  return app.openAPIRegistry.definitions.flatMap((each) =>
    each.type === 'route'
      ? [
          {
            method: each.route.method.toUpperCase(),
            path: each.route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
          },
        ]
      : [],
  )
}

type Guards = (route: RouteConfig, right: Right) => MiddlewareHandler<Env>[]

/** They remember whose credentials held: all routes of a server have the same. */
export function createGuards(deps: Deps): Guards {
  const check = limitStrangers(deps, createCallerCheck(deps))
  const limit = limitRate(deps.clock, deps.rates)
  return (route, right) => {
    const scope = requireScope(deps, route.operationId ?? '')
    switch (right) {
      case 'nothing':
        return [requireText, ...jsonOf(route, maxStranger_bytes)]
      case 'caller':
      case 'session':
        return [requireCaller(check, right), limit, requireText, ...jsonOf(route, maxStranger_bytes)]
      case 'bootstrap':
        return [requireToken, requireText, boundedJson(maxBootstrap_bytes, 'program')]
      case 'runner':
        return [requireRunner(deps.runner_key), requireText, ...jsonOf(route, maxRunnerJson_bytes, 'program')]
      case 'scraper': {
        const [known, within] = [requirePrincipal(check, 'operator'), scope]
        return [
          (c, next) => (isFromHere(c) ? next() : known(c, next)),
          (c, next) => (isFromHere(c) ? next() : within(c, next)),
        ]
      }
      case 'viewer':
      case 'member':
      case 'admin':
      case 'owner':
      case 'operator':
      case 'owner or operator':
        return [
          right === 'owner or operator'
            ? requireOwnerOrOperator(check)
            : requirePrincipal(check, right, route.path.startsWith(ofProject)),
          limit,
          requireText,
          ...jsonOf(route, maxJson_bytes),
          scope,
        ]
    }
  }
}

/** PostgreSQL has no text with NUL: nothing is named so, and nothing is found by it. */
const requireText: MiddlewareHandler<Env> = async (c, next) => {
  const url = c.req.url
  if (!/%00|\0/.test(url)) return next()
  if (Object.values<string>(c.req.param()).some((value) => value.includes('\0')))
    throw new AppError('not_found', 'No name holds a NUL character.')
  for (const [path, values] of Object.entries(c.req.queries()))
    if (values.some((value) => value.includes('\0'))) {
      const message = 'holds a NUL character'
      throw new AppError('invalid_request', `${path} ${message}`, { errors: [{ path, message }] })
    }
  return next()
}

const jsonOf = (route: RouteConfig, ...bounds: Parameters<typeof boundedJson>) =>
  takesJson(route) ? [boundedJson(...bounds)] : []

// Other bodies are streams of bytes, which whoever stores them bounds.
function takesJson({ method, request }: RouteConfig): boolean {
  const types = Object.keys(request?.body?.content ?? { 'application/json': {} })
  return method !== 'get' && types.includes('application/json')
}
