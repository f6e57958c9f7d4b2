// Who did what to which: written in the transaction of the change, and never changed.
import type { Deps } from './deps.ts'
import type { Database } from './store/schema.ts'

/** Who does something, and where from. */
export interface Actor {
  /** `command`: on the server's machine; `berth`: by itself. */
  by: 'key' | 'user' | 'command' | 'berth'
  id: string | null
  address: string | null
  request_id: string | null
}

export interface Change {
  /** null: of the installation, or of a person. */
  project_id: string | null
  /** `key.created` */
  action: string
  subject: string | null
  /** What it was and what it is; holds no secret. */
  before?: object | null
  after?: object | null
}

/** Throws where the change is not to be made: without this row it is not. */
export async function audit(
  { db, clock }: { db: Database } & Pick<Deps, 'clock'>,
  actor: Actor,
  { project_id, action, subject, before, after }: Change,
): Promise<void> {
  await db
    .insertInto('audit_log')
    .values({
      at: clock.now(),
      project_id,
      actor_by: actor.by,
      actor_id: actor.id,
      address: actor.address,
      request_id: actor.request_id,
      action,
      subject,
      before: before ? JSON.stringify(before) : null,
      after: after ? JSON.stringify(after) : null,
    })
    .execute()
}
