import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { may, useMe } from '../../api/me.ts'
import { type OfferFilters, offersQuery } from '../../api/providers.ts'
import type { Offer } from '../../api/types.ts'
import { Problem } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { offerTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Check, inputClass } from '../../ui/field.tsx'
import { Page } from '../../ui/page.tsx'
import { Rows } from '../../ui/rows.tsx'
import { Empty, Skeleton } from '../../ui/states.tsx'
import { OfferHistory } from './offer-history.tsx'
import { OfferHead, OfferLine, offerKey } from './offer-line.tsx'
import { Sources } from './sources.tsx'

const refreshed_ms = 15_000

export function OffersPage() {
  const t = useText(offerTexts)
  const c = useText(common)
  const isOperator = may(useMe(), 'operator')
  const filters = useSearch({ from: '/offers' })
  const query = useInfiniteQuery({ ...offersQuery(useApi(), filters), refetchInterval: refreshed_ms })
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = query
  const offers = useMemo(() => data?.pages.flatMap(({ items }) => items) ?? [], [data])
  const [open, setOpen] = useState<Offer | null>(null)
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  return (
    <Page title={t('title')} about={t('about')}>
      <OfferFilter filters={filters} />
      {query.isError && data === undefined ? (
        <Problem error={query.error} onRetry={() => void query.refetch()} />
      ) : data === undefined ? (
        <Skeleton label={c('loading')} />
      ) : offers.length === 0 ? (
        <Empty title={t('none')}>{t('noneHint')}</Empty>
      ) : (
        <Rows
          count={offers.length}
          label={t('title')}
          head={<OfferHead />}
          keyOf={(index) => (offers[index] ? offerKey(offers[index]) : String(index))}
          row={(index) => offers[index] && <OfferLine offer={offers[index]} onOpen={setOpen} />}
          onEnd={onEnd}
        />
      )}
      {isOperator ? <Sources /> : null}
      <OfferHistory offer={open} onClose={() => setOpen(null)} />
    </Page>
  )
}

function OfferFilter({ filters }: { filters: OfferFilters }) {
  const t = useText(offerTexts)
  const navigate = useNavigate()
  const set = (patch: Record<string, string | undefined>) =>
    void navigate({
      to: '/offers',
      search: Object.fromEntries(Object.entries({ ...filters, ...patch }).filter(([, value]) => value)),
      replace: true,
    })
  const text = (name: 'gpu' | 'provider' | 'region', label: string) => (
    <input
      key={`${name}=${filters[name] ?? ''}`}
      aria-label={label}
      placeholder={label}
      defaultValue={filters[name] ?? ''}
      className={`${inputClass} w-36! text-[13px]`}
      onBlur={({ target }) => target.value !== (filters[name] ?? '') && set({ [name]: target.value })}
      onKeyDown={({ key, currentTarget }) => key === 'Enter' && set({ [name]: currentTarget.value })}
    />
  )
  return (
    <div role="search" className="flex flex-wrap items-center gap-2 border-b border-line px-4 pb-3">
      {text('gpu', t('anyGpu'))}
      {text('provider', t('provider'))}
      {text('region', t('region'))}
      <select
        aria-label={t('onlySpot')}
        className={`${inputClass} w-44! text-[13px]`}
        value={filters.spot ?? ''}
        onChange={({ target }) => set({ spot: target.value || undefined })}
      >
        <option value="">{t('onlySpot')}</option>
        <option value="true">{t('spotOnly')}</option>
        <option value="false">{t('demandOnly')}</option>
      </select>
      <Check
        label={t('free')}
        checked={filters.free === 'true'}
        onChange={({ target }) => set({ free: target.checked ? 'true' : undefined })}
      />
    </div>
  )
}
