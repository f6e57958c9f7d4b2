import { type Kysely, sql } from 'kysely'

const statements = [
  `create table budgets (
    id text primary key,
    project_id text not null references projects,
    scope text not null check (scope in ('project', 'label')),
    label_name text,
    label_value text,
    period text not null check (period in ('month', 'total')),
    limit_micros bigint not null check (limit_micros >= 0),
    created_at timestamptz not null,
    check ((scope = 'label') = (label_name is not null and label_value is not null)),
    unique nulls not distinct (project_id, scope, label_name, label_value, period)
  )`,
  `create table budget_periods (
    budget_id text not null references budgets on delete cascade,
    project_id text not null,
    period_start timestamptz not null,
    reserved_micros bigint not null default 0,
    spent_micros bigint not null default 0,
    warned_at timestamptz,
    exhausted_at timestamptz,
    primary key (budget_id, period_start)
  )`,
  // What an attempt holds of a budget; it stays with the period in which the attempt began.
  `create table reservations (
    attempt_id text not null references attempts,
    budget_id text not null,
    project_id text not null,
    period_start timestamptz not null,
    micros bigint not null,
    primary key (attempt_id, budget_id),
    foreign key (budget_id, period_start) references budget_periods on delete cascade
  )`,
  // Until when the attempt's reservations pay for it; null: no budget applies.
  `alter table attempts add column reserved_until timestamptz`,
  // Why a waiting shard waits, where placement alone does not say it.
  `alter table shards add column wait_reason text check (wait_reason in ('budget'))`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
