export interface FieldError {
  /** `params.strategy.name` */
  path: string
  message: string
}

/** Status and title of every refusal that the API gives. functions/_problem.ts turns them into RFC 9457. */
export const problems = {
  invalid_request: { status: 422, title: 'The request is not valid' },
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  invalid_cursor: { status: 422, title: 'The cursor is not one of ours' },
  cursor_expired: { status: 410, title: 'The cursor is too old' },
  unauthorized: { status: 401, title: 'No valid API key' },
  forbidden: { status: 403, title: 'The key may not do this' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'This method is not offered here' },
  job_finished: { status: 409, title: 'The job has already finished' },
  jobs_at_work: { status: 409, title: 'Jobs of the project have not ended' },
  job_not_finished: { status: 409, title: 'The job has not finished' },
  no_result: { status: 404, title: 'The job has no result' },
  table_too_large: { status: 422, title: 'The file is too large to be read here' },
  table_unreadable: { status: 422, title: 'The file cannot be read' },
  superseded: { status: 409, title: 'Another runner has bound this attempt' },
  attempt_over: { status: 410, title: 'The attempt is over' },
  bootstrap_used: { status: 409, title: 'The token was used' },
  gone: { status: 410, title: 'The resource was deleted' },
  idempotency_key_reused: { status: 422, title: 'The idempotency key was used with another body' },
  malformed_request: { status: 400, title: 'The request is not valid HTTP' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  too_slow: { status: 408, title: 'The request came too slowly' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  rate_limited: { status: 429, title: 'Too many requests' },
  queue_full: { status: 429, title: 'The queue is full' },
  checksum_mismatch: { status: 422, title: 'The bytes do not match their sha256' },
  already_created: { status: 409, title: 'The key has made this before' },
  too_many_webhooks: { status: 409, title: 'No more webhooks' },
  account_exists: { status: 409, title: 'The account is there already' },
  account_in_use: { status: 409, title: 'The account is in use' },
  provider_failed: { status: 409, title: 'The provider did not do it' },
  user_exists: { status: 409, title: 'The user is there already' },
  last_owner: { status: 409, title: 'The project would have no owner' },
  no_mail: { status: 409, title: 'No mails are sent' },
  cross_site: { status: 403, title: 'The request comes from another site' },
  key_in_use: { status: 409, title: 'The key is in use' },
  webhook_disabled: { status: 409, title: 'The webhook is disabled' },
  quarantined: { status: 503, title: 'The database was restored from a copy' },
  busy: { status: 503, title: 'Berth is not ready' },
  internal: { status: 500, title: 'Berth failed' },
} as const
export type ProblemCode = keyof typeof problems

/** A refusal as data. */
export interface Refusal {
  code: ProblemCode
  detail: string
  errors: FieldError[]
}

/** A refusal with a code; its message is shown to the client and says what to do. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ProblemCode
  readonly errors: FieldError[]
  readonly headers: Record<string, string>

  constructor(
    code: ProblemCode,
    message: string,
    options: { errors?: FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.errors = options.errors ?? []
    this.headers = options.headers ?? {}
  }
}

export const refusalOf = ({ code, message, errors }: AppError): Refusal => ({ code, detail: message, errors })
