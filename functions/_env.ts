import type { Caller, Principal } from '../jobs/keys.ts'

/**
 * What middleware leaves for handlers: `principal` where a project is needed, with `check_again`, which throws when it may no more what
 * it could at first; `caller` where none is.
 */
export interface Env {
  Variables: {
    request_id: string
    principal: Principal
    check_again: () => Promise<void>
    caller: Caller
  }
}
