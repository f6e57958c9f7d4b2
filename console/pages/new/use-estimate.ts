import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { ProblemError } from '../../api/problem.ts'
import type { Estimate, JobBody } from '../../api/types.ts'
import type { Value } from '../../ui/schema.ts'

/** Typing is over when nothing has come for so long. */
const typed_ms = 400

export interface Estimated {
  data: Estimate | undefined
  problem: ProblemError | null
  busy: boolean
  /** What the API says of fields, by dotted path. */
  errors: ReadonlyMap<string, string>
}

/** Where the job would go and what it would cost: the API checks it by the way. */
export function useEstimate(spec: Value, enabled: boolean): Estimated {
  const { routes } = useApi()
  const text = JSON.stringify(spec)
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), typed_ms)
    return () => clearTimeout(timer)
  }, [text])
  const { data, error, isFetching } = useQuery({
    queryKey: ['estimate', settled],
    queryFn: () => answered(routes.v1.jobs.estimate.$post({ json: JSON.parse(settled) as JobBody })),
    enabled,
    placeholderData: keepPreviousData,
    gcTime: 60_000,
  })
  const problem = error instanceof ProblemError ? error : null
  const errors = useMemo(
    () => new Map(problem?.errors.map(({ path, message }) => [path, message])),
    [problem],
  )
  return { data: problem === null ? data : undefined, problem, busy: isFetching, errors }
}
