// The rows of what jobs make, as TypeScript sees them.
import type { ColumnType } from 'kysely'

/** A jsonb column: read as the value, written as its JSON text. */
export type Json<T> = ColumnType<T, string, string>

export interface ResultTables {
  result_cache: {
    project_id: string
    key: string
    job_id: string
    created_at: Date
    used_at: Date
  }
  points: {
    project_id: string
    job_id: string
    shard_index: number
    point: number
    objective: number | null
    parameters: Json<Record<string, unknown>>
    metrics: Json<Record<string, unknown>>
  }
  artifacts: {
    id: string
    project_id: string
    job_id: string
    attempt_id: string
    shard_id: string
    name: string
    bytes: number
    sha256: string
    content_type: string
    object_key: string
    purpose: 'artifact' | 'checkpoint'
    created_at: Date
  }
}
