import type { Caller, Principal } from '../jobs/keys.ts'

/** What middleware leaves for handlers: `principal` where a project is needed, `caller` where none is. */
export interface Env {
  Variables: { request_id: string; principal: Principal; caller: Caller }
}
