// What went wrong, as a person reads it: RFC 9457 of the API, or that no answer came.

export interface FieldError {
  path: string
  message: string
}

export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly code: string
  /** 0: there was no answer. */
  readonly status: number
  readonly errors: readonly FieldError[]
  readonly request_id: string | null
  constructor(
    message: string,
    about: { code: string; status: number; errors?: readonly FieldError[]; request_id?: string | null },
  ) {
    super(message)
    this.code = about.code
    this.status = about.status
    this.errors = about.errors ?? []
    this.request_id = about.request_id ?? null
  }
}

/** Whether the same question may be answered later. */
export const isPassing = (error: unknown): boolean =>
  !(error instanceof ProblemError) || error.status === 0 || error.status === 429 || error.status >= 500

/** Reads an answer that is not 2xx. */
export async function problemOf(answer: Response): Promise<ProblemError> {
  const { status } = answer
  const request_id = answer.headers.get('x-request-id')
  try {
    const body = (await answer.json()) as {
      code?: string
      detail?: string
      title?: string
      errors?: FieldError[]
    }
    if (typeof body.code === 'string')
      return new ProblemError(body.detail || body.title || body.code, {
        code: body.code,
        status,
        errors: body.errors ?? [],
        request_id,
      })
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  return new ProblemError(`The server answered ${status}, not in Berth's form.`, {
    code: `http_${status}`,
    status,
    request_id,
  })
}

export const unreachable = (): ProblemError =>
  new ProblemError('The server does not answer.', { code: 'unreachable', status: 0 })

/** Any error as a problem: one that is not the API's is a fault of this page. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  return new ProblemError(error instanceof Error ? error.message : String(error), {
    code: 'console',
    status: 0,
  })
}
