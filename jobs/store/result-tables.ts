// The rows of what jobs make, as TypeScript sees them.
import type { ColumnType } from 'kysely'

/** A jsonb column: read as the value, written as its JSON text. */
export type Json<T> = ColumnType<T, string, string>

/** How the prices of a dataset are to be read. */
export interface Reading {
  adjustment: 'none' | 'split' | 'total'
  timezone?: string | undefined
  bar_label?: 'start' | 'end' | undefined
  currency?: string | undefined
}

export interface ResultTables {
  datasets: {
    id: string
    project_id: string
    name: string
    format: 'parquet' | 'csv'
    bytes: number
    sha256: string
    reading: Json<Reading>
    state: 'uploading' | 'ready'
    object_key: string | null
    columns: Json<string[] | null> | null
    rows: number | null
    first: string | null
    last: string | null
    created_at: Date
    ready_at: Date | null
    deleted_at: Date | null
  }
  dataset_parts: {
    dataset_id: string
    project_id: string
    number: number
    bytes: number
    sha256: string
    object_key: string
    created_at: Date
  }
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
