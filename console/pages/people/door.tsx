import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { Mark } from '../../ui/mark.tsx'

/** What is seen by whoever has not signed in. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center bg-canvas px-4 py-10">
      <div className="flex w-full max-w-sm flex-col gap-4">
        <div className="flex items-center gap-3 pb-2">
          <Mark className="size-8" />
          <h1 className="text-lg font-semibold">{title}</h1>
        </div>
        {children}
      </div>
    </main>
  )
}

export function useLoginOptions() {
  const { routes } = useApi()
  return useQuery({
    queryKey: ['login-options'],
    queryFn: () => answered(routes.v1.auth.options.$get()),
    staleTime: Number.POSITIVE_INFINITY,
  }).data
}
