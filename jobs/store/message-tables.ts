// The rows of what is told to others, as TypeScript sees them.
import type { ColumnType, Generated } from 'kysely'
import type { EventType } from '../state.ts'
import type { Json } from './result-tables.ts'

export interface OldSecret {
  sealed: string
  until: string
}
/** `user`: by a request; `gone`: it answered 410; `failing`: for days nothing was delivered. */
export type DisabledReason = 'user' | 'gone' | 'failing'

export interface MessageTables {
  events: {
    project_id: string
    job_id: string | null
    sequence: number
    type: string
    at: Date
    data: Json<Record<string, unknown>>
    /** Where it stands in the feed, with its id: jobs/store/events.ts. */
    xid: ColumnType<string, string | undefined, never>
    id: Generated<number>
    partition_at: Date
  }
  feed_floors: { project_id: string; xid: string; id: number }
  webhooks: {
    id: string
    project_id: string
    url: string
    description: string
    /** null: all types but those that must be asked for. */
    events: Json<EventType[] | null> | null
    secret_sealed: string
    old_secrets: ColumnType<OldSecret[], string | undefined, string>
    disabled_reason: DisabledReason | null
    disabled_at: Date | null
    event_sequence: Generated<number>
    created_at: Date
    updated_at: Date
    deleted_at: Date | null
  }
  receivers: {
    id: string
    project_id: string
    webhook_id: string | null
    room: number
    failures: Generated<number>
    failing_since: Date | null
    closed_until: Date | null
    due_at: Date | null
    updated_at: Date
  }
  deliveries: {
    id: string
    project_id: string
    job_id: string | null
    /** null: of a job's own webhook. */
    webhook_id: string | null
    receiver_id: string | null
    sequence: number
    type: string
    url: string
    body: string
    state: 'pending' | 'delivered' | 'exhausted'
    attempts: Generated<number>
    round: Generated<number>
    next_attempt_at: Date | null
    claimed_until: Date | null
    created_at: Date
    ended_at: Date | null
  }
  delivery_attempts: {
    delivery_id: string
    project_id: string
    number: number
    at: Date
    duration_ms: number
    status: number | null
    error: string | null
    response: string | null
  }
}
