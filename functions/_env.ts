import type { Principal } from '../jobs/keys.ts'

/** What middleware leaves for handlers. */
export interface Env {
  Variables: { request_id: string; principal: Principal }
}
