// Questions and orders to the API, with what goes wrong told in its own words.
import { type QueryKey, useMutation, type UseQueryResult, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { asProblem } from '../api/problem.ts'
import { common } from '../text/common.ts'
import { useText } from '../text/language.tsx'
import { Failure, Skeleton } from '../ui/states.tsx'
import { useToast } from '../ui/toast.tsx'

/** What a query has found, or why it has not. */
export function Asked<Found>({
  query,
  children,
  rows,
}: {
  query: UseQueryResult<Found>
  children: (found: Found) => ReactNode
  rows?: number
}) {
  const t = useText(common)
  if (query.data !== undefined) return children(query.data)
  if (query.isError) return <Problem error={query.error} onRetry={() => void query.refetch()} />
  return <Skeleton label={t('loading')} {...(rows === undefined ? {} : { rows })} />
}

export function Problem({ error, onRetry, title }: { error: unknown; onRetry?: () => void; title?: string }) {
  const t = useText(common)
  const { message, errors, request_id, code } = asProblem(error)
  const more = [
    ...errors.map(({ path, message: what }) => `${path} ${what}`),
    ...(request_id === null ? [] : [t('request', { id: request_id })]),
  ]
  return (
    <Failure
      title={title ?? t('failed')}
      detail={code === 'unreachable' ? t('away') : message}
      more={more}
      retry={onRetry ? { label: t('retry'), onRetry } : undefined}
    />
  )
}

/** An order; on success what it changed is read anew, a failure is told. */
export function useOrder<Input, Output>(
  act: (input: Input) => Promise<Output>,
  {
    changes = [],
    told,
    onDone,
  }: { changes?: readonly QueryKey[]; told?: string; onDone?: (output: Output, input: Input) => void } = {},
) {
  const cache = useQueryClient()
  const toast = useToast()
  const t = useText(common)
  return useMutation({
    mutationFn: act,
    onSuccess: (output, input) => {
      for (const queryKey of changes) void cache.invalidateQueries({ queryKey })
      if (told !== undefined) toast(told)
      onDone?.(output, input)
    },
    onError: (error) => toast(`${t('notDone')}: ${asProblem(error).message}`, 'bad'),
  })
}
