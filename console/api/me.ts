// Who asks, and what this person or key may do.
import { queryOptions, useQuery } from '@tanstack/react-query'
import type { Api } from './client.ts'
import { useApi } from './context.tsx'
import { ProblemError } from './problem.ts'

export type Role = 'viewer' | 'member' | 'admin'
export type Right = Role | 'operator'

export interface Me {
  role: Role
  is_operator: boolean
  project: { id: string; name: string }
}

const ranks: Record<Role, number> = { viewer: 0, member: 1, admin: 2 }

export function may(me: Me | undefined, right: Right): boolean {
  if (me === undefined) return false
  if (right === 'operator') return me.is_operator && me.role === 'admin'
  return ranks[me.role] >= ranks[right]
}

export const meQuery = (api: Api) =>
  queryOptions({ queryKey: ['me'], queryFn: () => readMe(api), staleTime: Number.POSITIVE_INFINITY })

export const useMe = () => useQuery(meQuery(useApi())).data

async function readMe(api: Api): Promise<Me> {
  const project = (await (await api.send('/v1/project')).json()) as { id: string; name: string }
  const allowed = async (path: string) => {
    try {
      await api.send(path)
      return true
    } catch (error) {
      if (error instanceof ProblemError && error.status === 403) return false
      throw error
    }
  }
  if (!(await allowed('/v1/webhooks'))) return { role: 'viewer', is_operator: false, project }
  if (!(await allowed('/v1/keys'))) return { role: 'member', is_operator: false, project }
  return { role: 'admin', is_operator: await allowed('/v1/orphans'), project }
}
