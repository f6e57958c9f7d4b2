// The only place of status codes: everything that goes wrong becomes RFC 9457 problem JSON here.
import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import {
  AppError,
  type FieldError,
  type ProblemCode,
  problems,
  type Refusal,
  refusalOf,
} from '../jobs/errors.ts'
import { type Log, StoreFailed } from '../jobs/deps.ts'
import { type Fault, faultOf } from '../jobs/store/faults.ts'
import type { Env } from './_env.ts'

/** More field errors than this help nobody. */
const maxFieldErrors = 50

// Who has mistyped a name sees the right one: zod alone tells what is wrong, and not what there is.
z.config({
  customError: ({ code, inst }) => {
    if (code !== 'unrecognized_keys') return undefined
    const { shape = {} } = ((inst as z.ZodObject | undefined)?.def ?? {}) as { shape?: object }
    return `is not a known field: there ${list(Object.keys(shape))}`
  },
})

const list = (names: readonly string[]) =>
  names.length === 0 ? 'are none' : `are ${names.slice(0, maxNames).join(', ')}`
/** A job has some twenty. */
const maxNames = 50

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ example: 'invalid_request' }),
    errors: z.array(z.object({ path: z.string(), message: z.string() })),
    request_id: z.string(),
  })
  .meta({ id: 'Problem' })

/** The answers that every route may give beside its own. */
export const problemAnswers = {
  default: {
    description: 'A problem (RFC 9457)',
    content: { 'application/problem+json': { schema: problemSchema } },
  },
} as const

/** Turns an error into the answer; an unknown one is logged once, here, and told to nobody. */
export function problemOf(error: unknown, c: Context<Env>, log: Log): Response {
  const headers = error instanceof AppError ? error.headers : {}
  const refusal = clientsFault(error)
  if (refusal) return answer(c, refusal.code, refusal.detail, refusal.errors, headers)
  if (error instanceof HTTPException && error.status === 400)
    return answer(c, 'malformed_json', 'The body is not valid JSON.', [])
  if (error instanceof HTTPException && error.status === 415)
    return answer(c, 'unsupported_media_type', 'Send the body as "Content-Type: application/json".', [])
  const isBusy = logFailure(error, c, log)
  if (error instanceof StoreFailed)
    return answer(c, 'busy', 'The object store failed; the request id is in the log.', [], {
      'Retry-After': '5',
    })
  if (isBusy)
    return answer(c, 'busy', 'The database did not answer in time: try again in a moment.', [], {
      'Retry-After': '1',
    })
  return answer(c, 'internal', 'Berth failed; the request id is in its log.', [])
}

/** Logs what is no client's fault; answers whether it is one of the database that passes. */
export function logFailure(error: unknown, c: Context<Env>, log: Log): boolean {
  const isBusy = error instanceof Error && passing.has(faultOf(error))
  log(isBusy ? 'warn' : 'error', isBusy ? 'the database did not answer' : 'a request failed', {
    request_id: c.get('request_id'),
    method: c.req.method,
    path: c.req.path,
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  return isBusy
}

/** Faults of the database that pass: nothing was done, or with an Idempotency-Key the same again finds what was. */
const passing: ReadonlySet<Fault | null> = new Set(['lost', 'silent', 'slow', 'conflict'] as const)

/** What a client did wrong; null: the error is another one. */
export function clientsFault(error: unknown): Refusal | null {
  if (error instanceof AppError) return refusalOf(error)
  if (!(error instanceof z.ZodError)) return null
  const [detail, errors] = zodProblem(error)
  return { code: 'invalid_request', detail, errors }
}

/** The body of a problem. */
export function problemBody({ code, detail, errors }: Refusal, request_id: string) {
  const { status, title } = problems[code]
  const shown = errors.map(({ path, message }) => ({ path: shortened(path), message: shortened(message) }))
  return { type: 'about:blank', title, status, detail: shortened(detail), code, errors: shown, request_id }
}

/** Characters: messages name what was sent, which may be a megabyte. */
const maxMessage = 1_000
const shortened = (text: string) =>
  text.length <= maxMessage ? text : `${text.slice(0, maxMessage).toWellFormed()}…`

function answer(
  c: Context<Env>,
  code: ProblemCode,
  detail: string,
  errors: FieldError[] = [],
  headers: Record<string, string> = {},
): Response {
  const body = problemBody({ code, detail, errors }, c.get('request_id'))
  return c.body(JSON.stringify(body), body.status, { ...headers, 'Content-Type': 'application/problem+json' })
}

function zodProblem(error: z.ZodError): [string, FieldError[]] {
  const errors = error.issues.flatMap((issue) => fieldErrors(issue, issue.path)).slice(0, maxFieldErrors)
  const [first] = errors
  const detail = first
    ? [first.path, first.message].filter((part) => part !== '').join(' ')
    : 'The request is not valid.'
  return [detail, errors]
}

function fieldErrors(issue: z.core.$ZodIssue, path: readonly PropertyKey[]): FieldError[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: dotted([...path, key]), message: issue.message }))
  if (issue.code === 'invalid_union') return unionErrors(issue, path)
  return [{ path: dotted(path), message: issue.message.replace(/^Invalid input: /, '') }]
}

// Of a union the branch that came nearest speaks: its errors lie deepest in the value.
function unionErrors(issue: z.core.$ZodIssueInvalidUnion, path: readonly PropertyKey[]): FieldError[] {
  const depth = (branch: readonly z.core.$ZodIssue[]) =>
    Math.max(0, ...branch.map((each) => each.path.length))
  const keys = (branch: readonly z.core.$ZodIssue[]) =>
    branch.some(({ code }) => code === 'unrecognized_keys')
  const nearest = issue.errors.toSorted((a, b) => depth(b) - depth(a) || Number(keys(a)) - Number(keys(b)))[0]
  if (!nearest || (depth(nearest) === 0 && issue.errors.length > 1))
    return [{ path: dotted(path), message: unionMessage(issue) }]
  return nearest.flatMap((each) => fieldErrors(each, [...path, ...each.path]))
}

function unionMessage(issue: z.core.$ZodIssueInvalidUnion): string {
  if (issue.message !== 'Invalid input') return issue.message.replace(/^Invalid input: /, '')
  const expected = issue.errors.flatMap((branch) =>
    branch.flatMap((each) =>
      each.code === 'invalid_type'
        ? [each.expected]
        : each.code === 'invalid_value'
          ? each.values.map(String)
          : [],
    ),
  )
  return expected.length > 0 ? `expected one of ${[...new Set(expected)].join(', ')}` : 'is not valid'
}

const dotted = (path: readonly PropertyKey[]) => path.map(String).join('.')
