import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { sourcesQuery } from '../../api/providers.ts'
import type { OfferSource } from '../../api/types.ts'
import { offerTexts, providerTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Badge, type Tone } from '../../ui/badge.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago } from '../../ui/time.tsx'

const tones: Record<OfferSource['state'], Tone> = { ok: 'good', partial: 'warn', failed: 'bad', none: 'idle' }
const refreshed_ms = 15_000

export function Sources() {
  const t = useText(offerTexts)
  const p = useText(providerTexts)
  const { data } = useQuery({ ...sourcesQuery(useApi()), refetchInterval: refreshed_ms })
  const columns: Column<OfferSource>[] = [
    { id: 'account', head: p('account'), cell: ({ provider, account }) => `${provider} ${account}` },
    { id: 'state', head: p('state'), cell: ({ state }) => <Badge tone={tones[state]}>{state}</Badge> },
    {
      id: 'asked',
      head: t('asked'),
      align: 'right',
      cell: ({ asked_at }) => (asked_at === null ? '–' : <Ago at={asked_at} />),
    },
    { id: 'offers', head: t('offers'), align: 'right', cell: ({ offers }) => offers },
    {
      id: 'refused',
      head: t('refused'),
      wide: true,
      cell: ({ refused, missing, error }) => (
        <span className="text-muted">
          {[
            error,
            ...missing.map(({ name, error: why }) => `${name}: ${why}`),
            ...refused.map(({ text, count }) => `${count} × ${text}`),
          ]
            .filter(Boolean)
            .join(' · ')}
        </span>
      ),
    },
  ]
  return (
    <details className="shrink-0 border-t border-line bg-surface">
      <summary className="cursor-pointer px-4 py-2 text-[13px] font-medium">{t('sources')}</summary>
      <div className="max-h-60 overflow-y-auto">
        <Table
          columns={columns}
          rows={data?.items ?? []}
          keyOf={({ provider, account }) => `${provider}/${account}`}
          label={t('sources')}
        />
      </div>
    </details>
  )
}
