import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { asProblem } from '../../api/problem.ts'
import type { Table } from '../../api/results.ts'
import { Asked } from '../../parts/problem.tsx'
import { Panel } from '../../ui/page.tsx'

interface LeftProps {
  query: UseQueryResult<Table>
  title: string
  /** What is said where the program left no such file, or one without rows. */
  none: string
  children: (found: Table) => ReactNode
}

/** A table that the program left, or why there is none. */
export function Left({ query, title, none, children }: LeftProps) {
  const isMissing = query.isError && asProblem(query.error).code === 'no_result'
  if (isMissing || query.data?.rows === 0)
    return (
      <Panel title={title}>
        <p className="px-4 py-4 text-[13px] text-muted">{none}</p>
      </Panel>
    )
  return query.data === undefined ? (
    <Panel title={title}>
      <Asked query={query}>{children}</Asked>
    </Panel>
  ) : (
    children(query.data)
  )
}
