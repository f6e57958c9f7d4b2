// Who asks, and what this person or key may do.
import { queryOptions, useQuery } from '@tanstack/react-query'
import { type Api, answered } from './client.ts'
import { useApi } from './context.tsx'
import type { Me } from './types.ts'

export type Role = NonNullable<Me['role']>
export type Right = Role | 'operator'

const ranks: Record<Role, number> = { viewer: 0, member: 1, admin: 2, owner: 3 }

export function may(me: Me | undefined, right: Right): boolean {
  if (me === undefined || me.role === null) return false
  const rank = ranks[me.role]
  return right === 'operator' ? me.is_operator && rank >= ranks.admin : rank >= ranks[right]
}

export const meQuery = (api: Api) =>
  queryOptions({
    queryKey: ['me'],
    queryFn: () => answered(api.routes.v1.me.$get()),
    staleTime: Number.POSITIVE_INFINITY,
  })

export const useMe = () => useQuery(meQuery(useApi())).data
