// Exit codes are an interface: scripts branch on them.

export const exits = {
  ok: 0,
  failed: 1,
  usage: 2,
  not_found: 3,
  unauthorized: 4,
  unreachable: 5,
  cancelled: 6,
  client: 7,
  timed_out: 124,
  interrupted: 130,
} as const
export type ExitCode = (typeof exits)[keyof typeof exits]

export const exitHelp = `
Exit codes:
  0    done; where a job is waited for: it succeeded
  1    the job failed; doctor: something needs attention; provider-test: a promise is broken
  2    wrong usage, or a request that the server refuses as it stands
  3    not found
  4    not authorised: no key, a wrong one, or one that may not do this
  5    the server cannot be reached, or cannot take the request now
  6    the job was cancelled
  7    trouble on this side: a file, the disk, a damaged download, a Node that is too old
  124  the time given by --timeout is over; the job goes on
  130  interrupted by Ctrl-C; the job goes on
`

export interface Problem {
  code: string
  message: string
  status?: number
  errors?: readonly { path: string; message: string }[]
  request_id?: string
  /** What to do about it. */
  hint?: string
}

/** Ends the command: `message` says what, which and what to do. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exit: ExitCode
  readonly problem: Problem

  constructor(exit: ExitCode, problem: Problem, options: ErrorOptions = {}) {
    super(problem.message, options)
    this.exit = exit
    this.problem = problem
  }
}

export const usageError = (message: string) => new CliError(exits.usage, { code: 'usage', message })
export const clientError = (message: string, cause?: unknown) =>
  new CliError(exits.client, { code: 'client', message }, { cause })
