import { type Kysely, sql } from 'kysely'

// Who did what. Rows are never changed and go by whole months, when a partition is dropped: that is no statement on rows, so that
// the trigger lets it pass and nothing else.

const statements = [
  `create table audit_log (
    id bigint generated always as identity,
    at timestamptz not null,
    -- null: of the installation or of a person, and of no project.
    project_id text,
    actor_by text not null check (actor_by in ('key', 'user', 'command', 'berth')),
    actor_id text,
    address text,
    request_id text,
    action text not null,
    subject text,
    before jsonb,
    after jsonb
  ) partition by range (at)`,
  `create table audit_log_rest partition of audit_log default`,
  `create index audit_log_of_project on audit_log (project_id, id)`,
  `create index audit_log_by_id on audit_log (id)`,
  `create function refuse_audit_change() returns trigger language plpgsql as $$
    begin raise exception 'rows of audit_log are never changed'; end $$`,
  `create trigger audit_log_is_kept before update or delete on audit_log
    for each row execute function refuse_audit_change()`,
  `create trigger audit_log_is_not_emptied before truncate on audit_log
    for each statement execute function refuse_audit_change()`,
  // What the library of sessions and passwords writes, it writes in its own transactions: only the database can add to those.
  `create function audit_identity() returns trigger language plpgsql as $$
    begin
      if tg_table_name = 'users' then
        insert into audit_log (at, actor_by, actor_id, action, subject, after)
        values (new.created_at, 'user', new.id, 'user.created', new.id, jsonb_build_object('email', new.email));
      elsif tg_table_name = 'sessions' then
        insert into audit_log (at, actor_by, actor_id, address, action, subject)
        values (new.created_at, 'user', new.user_id, nullif(new.ip_address, ''), 'session.opened', new.id);
      else
        insert into audit_log (at, actor_by, actor_id, action, subject)
        values (new.updated_at, 'user', new.user_id, 'password.changed', new.user_id);
      end if;
      return null;
    end $$`,
  `create trigger users_are_audited after insert on users for each row execute function audit_identity()`,
  `create trigger sessions_are_audited after insert on sessions for each row execute function audit_identity()`,
  `create trigger passwords_are_audited after update of password on credentials
    for each row when (old.password is distinct from new.password) execute function audit_identity()`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
