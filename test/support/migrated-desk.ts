import { inject } from 'vitest'
import { type Desk, openDesk } from './desk.ts'

/** A desk whose server finds its database made, which takes half of its first start: for tests that are not about that. */
export function openMigratedDesk(env: Record<string, string> = {}): Promise<Desk> {
  const image = inject('database_image')
  // None where the tests run on PostgreSQL.
  return openDesk(env, image === '' ? null : Buffer.from(image, 'base64'))
}
