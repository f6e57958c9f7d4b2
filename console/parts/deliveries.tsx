import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered } from '../api/client.ts'
import { useApi } from '../api/context.tsx'
import type { Delivery } from '../api/types.ts'
import { common } from '../text/common.ts'
import { deliveryTexts } from '../text/job.ts'
import { useText } from '../text/language.tsx'
import { Badge, type Tone } from '../ui/badge.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { Ago } from '../ui/time.tsx'
import { Asked, useOrder } from './problem.tsx'

const tones: Record<Delivery['state'], Tone> = { pending: 'warn', delivered: 'good', exhausted: 'bad' }

export function DeliveryTable({ deliveries }: { deliveries: readonly Delivery[] }) {
  const t = useText(deliveryTexts)
  const c = useText(common)
  const { routes } = useApi()
  const [open, setOpen] = useState<Delivery | null>(null)
  const again = useOrder(
    ({ id }: Delivery) => answered(routes.v1.deliveries[':id'].redeliver.$post({ param: { id } })),
    {
      changes: [['job'], ['deliveries']],
      told: t('sent'),
    },
  )
  const columns: Column<Delivery>[] = [
    {
      id: 'type',
      head: t('message'),
      cell: (delivery) => (
        <button
          type="button"
          className="min-h-6 font-medium hover:underline"
          onClick={() => setOpen(delivery)}
        >
          {delivery.type}
        </button>
      ),
    },
    {
      id: 'url',
      head: t('to'),
      wide: true,
      cell: ({ url }) => <span className="block max-w-80 truncate text-muted">{url}</span>,
    },
    { id: 'state', head: t('state'), cell: ({ state }) => <Badge tone={tones[state]}>{t(state)}</Badge> },
    { id: 'attempts', head: t('tries'), align: 'right', cell: ({ attempts }) => attempts },
    {
      id: 'last',
      head: t('last'),
      wide: true,
      cell: ({ last_attempt: last }) =>
        last === null ? '–' : <span className="text-muted">{last.error ?? last.status}</span>,
    },
    { id: 'created', head: c('created'), align: 'right', cell: ({ created_at }) => <Ago at={created_at} /> },
    {
      id: 'again',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: (delivery) => (
        <Button small look="quiet" onClick={() => again.mutate(delivery)}>
          {t('again')}
        </Button>
      ),
    },
  ]
  return (
    <>
      <Table label={t('message')} columns={columns} rows={deliveries} keyOf={({ id }) => id} />
      <Dialog
        open={open !== null}
        onClose={() => setOpen(null)}
        title={open?.type ?? ''}
        about={open?.url}
        close_label={c('close')}
        wide
      >
        {open === null ? null : <Whole id={open.id} />}
      </Dialog>
    </>
  )
}

function Whole({ id }: { id: string }) {
  const { routes } = useApi()
  const query = useQuery({
    queryKey: ['delivery', id],
    queryFn: () => answered(routes.v1.deliveries[':id'].$get({ param: { id } })),
  })
  return (
    <Asked query={query}>
      {(delivery) => (
        <pre className="max-h-[60vh] overflow-auto font-mono text-xs whitespace-pre-wrap" tabIndex={0}>
          {JSON.stringify(delivery, null, 2)}
        </pre>
      )}
    </Asked>
  )
}
