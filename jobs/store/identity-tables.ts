// The rows of people and of what they did, as TypeScript sees them.
import type { ColumnType, Generated } from 'kysely'
import type { Shares } from './rate-shares.ts'
import type { Json } from './result-tables.ts'

export type MemberRole = 'owner' | 'admin' | 'member' | 'viewer'

export interface IdentityTables {
  users: {
    id: string
    name: string
    /** In lower case. */
    email: string
    email_verified: Generated<boolean>
    image: string | null
    organisation: string | null
    created_at: Date
    updated_at: Date
  }
  sessions: {
    id: string
    user_id: string
    token: string
    expires_at: Date
    created_at: Date
    updated_at: Date
    ip_address: string | null
    user_agent: string | null
  }
  credentials: {
    id: string
    account_id: string
    provider_id: string
    user_id: string
    password: string | null
    created_at: Date
    updated_at: Date
  }
  verifications: {
    id: string
    identifier: string
    value: string
    expires_at: Date
    created_at: Date
    updated_at: Date
  }
  gateways: { id: string; seen_at: Date }
  rate_shares: { bucket: string; servers: Json<Shares>; until: Date }
  login_guards: { key: string; tries: number; since: Date }
  project_members: { project_id: string; user_id: string; role: MemberRole; created_at: Date }
  invitations: {
    id: string
    project_id: string
    email: string
    role: MemberRole
    token_sha256: string
    /** Of a key or a user. */
    invited_by: string
    created_at: Date
    expires_at: Date
    /** Accepted or withdrawn. */
    ended_at: Date | null
  }
  audit_log: {
    id: ColumnType<number, never, never>
    at: Date
    project_id: string | null
    actor_by: 'key' | 'user' | 'command' | 'berth'
    actor_id: string | null
    address: string | null
    request_id: string | null
    action: string
    subject: string | null
    before: Json<Record<string, unknown> | null> | null
    after: Json<Record<string, unknown> | null> | null
  }
}
