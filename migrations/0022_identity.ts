import { type Kysely, sql } from 'kysely'

// Users and sessions are rows of better-auth (infra/identity.ts), under our names; whose a project is, is ours.

const people = [
  `create table users (
    id text primary key,
    name text not null,
    -- In lower case.
    email text not null unique,
    email_verified boolean not null default false,
    image text,
    organisation text,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  `create table sessions (
    id text primary key,
    user_id text not null references users on delete cascade,
    token text not null unique,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    ip_address text,
    user_agent text
  )`,
  `create index sessions_of_user on sessions (user_id, id)`,
  `create index sessions_age on sessions (expires_at)`,
  // What a user proves who they are with: today a password alone.
  `create table credentials (
    id text primary key,
    account_id text not null,
    provider_id text not null,
    user_id text not null references users on delete cascade,
    access_token text,
    refresh_token text,
    id_token text,
    access_token_expires_at timestamptz,
    refresh_token_expires_at timestamptz,
    scope text,
    -- scrypt, with its salt.
    password text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (provider_id, account_id)
  )`,
  `create index credentials_of_user on credentials (user_id)`,
  `create table verifications (
    id text primary key,
    identifier text not null,
    value text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  `create index verifications_by_identifier on verifications (identifier)`,
  `create index verifications_age on verifications (expires_at)`,
  // The private halves are encrypted by the library.
  `create table jwks (
    id text primary key,
    public_key text not null,
    private_key text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    alg text,
    crv text
  )`,
  // How often something was tried lately; the key is a sha256 that names neither person nor address.
  `create table login_guards (
    key text primary key,
    tries int not null,
    since timestamptz not null
  )`,
  `create index login_guards_age on login_guards (since)`,
]

const tenancy = [
  `create table project_members (
    project_id text not null references projects,
    user_id text not null references users on delete cascade,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
    created_at timestamptz not null,
    primary key (project_id, user_id)
  )`,
  `create index projects_of_user on project_members (user_id, project_id)`,
  `create table invitations (
    id text primary key,
    project_id text not null references projects,
    email text not null,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
    token_sha256 text not null unique,
    invited_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- accepted, or withdrawn
    ended_at timestamptz
  )`,
  `create index invitations_of_project on invitations (project_id, id)`,
  // null: all that its role may.
  `alter table api_keys add column scopes text[]`,
  // Keys of their own, sealed with the secret key, so that another secret key does not end what they have signed. Made at the next start.
  `alter table installation add column runner_key_sealed text`,
  `alter table installation add column identity_key_sealed text`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...people, ...tenancy]) await sql.raw(statement).execute(db)
}
