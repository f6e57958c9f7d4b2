// The rows that bound what runs and what it costs.
import type { Generated } from 'kysely'
import type { LimitScope } from '../limits.ts'
import type { RememberedCode } from '../memory.ts'
import type { Policy } from '../policy.ts'
import type { Json } from './result-tables.ts'

export interface MoneyTables {
  capacity_memory: {
    provider: string
    account: string
    region: string
    offer_id: string
    spot: boolean
    code: RememberedCode
    failures: number
    blocked_until: Date
    updated_at: Date
  }
  provider_health: {
    id: string
    provider: string
    account: string
    state: 'healthy' | 'open' | 'parked'
    reason: string | null
    detail: string | null
    since: Date
    told: Generated<boolean>
    probe_at: Date | null
    probes: Generated<number>
    error_call: string | null
    error_code: string | null
    error_detail: string | null
    error_at: Date | null
    event_sequence: Generated<number>
    updated_at: Date
  }
  provider_calls: { id: string; call: string; slot_at: Date; result: string; bucket: number; count: number }
  limits: { id: string; scope: LimitScope; key: string; max_running: number; updated_at: Date }
  policies: { project_id: string; policy: Json<Policy>; updated_at: Date }
  budgets: {
    id: string
    project_id: string
    scope: 'project' | 'label'
    label_name: string | null
    label_value: string | null
    period: 'month' | 'total'
    limit_micros: number
    event_sequence: Generated<number>
    created_at: Date
  }
  budget_periods: {
    budget_id: string
    project_id: string
    period_start: Date
    reserved_micros: Generated<number>
    spent_micros: Generated<number>
    warned_at: Date | null
    exhausted_at: Date | null
  }
  reservations: {
    attempt_id: string
    budget_id: string
    project_id: string
    period_start: Date
    micros: number
  }
  ledger: {
    id: Generated<number>
    project_id: string
    job_id: string
    attempt_id: string
    entry: 'reserve' | 'release' | 'settle' | 'adjust'
    usd_micros: number
    basis: 'billed' | 'modelled'
    billed_from: Date | null
    billed_to: Date | null
    at: Date
  }
}
