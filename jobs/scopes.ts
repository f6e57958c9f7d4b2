// What a key may be narrowed to, beside its role: a service, to read or to write.
import type { Principal } from './keys.ts'

export const kindsWithScopes = ['backtest', 'training', 'custom'] as const

export const scopes = [
  'jobs:read',
  'jobs:write',
  ...kindsWithScopes.flatMap((kind) => [`${kind}:read`, `${kind}:write`] as const),
  'data:read',
  'data:write',
  'admin',
] as const

/** What an operation belongs to: `settings` are what admins set; `open` is for every key, like prices and the own name. */
export type Area = 'jobs' | 'data' | 'settings' | 'open'

/** Kinds of jobs that a key is narrowed to; `all`: every kind; `none`: this is not for it. Who writes reads. */
export function kindsFor(
  { scopes: of }: Principal & { by: 'key' },
  writes: boolean,
): 'all' | 'none' | readonly string[] {
  const has = (name: string) => of?.includes(`${name}:write`) || (!writes && of?.includes(`${name}:read`))
  if (of === null || has('jobs')) return 'all'
  const kinds = kindsWithScopes.filter(has)
  return kinds.length === 0 ? 'none' : kinds
}

/** Whether a key may work in an area at all; of jobs perhaps of some kinds alone. */
export function isWithin(key: Principal & { by: 'key' }, area: Area, writes: boolean): boolean {
  const of = key.scopes
  switch (area) {
    case 'open':
      return true
    case 'settings':
      return of === null || of.includes('admin')
    case 'data':
      return of === null || of.includes('data:write') || (!writes && of.includes('data:read'))
    case 'jobs':
      return kindsFor(key, writes) !== 'none'
  }
}
