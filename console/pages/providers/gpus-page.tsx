import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { gpusQuery } from '../../api/providers.ts'
import type { Gpu } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { percent } from '../../text/format.ts'
import { fleetTexts } from '../../text/providers.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'

const refreshed_ms = 5_000

export function GpusPage() {
  const t = useText(fleetTexts)
  const query = useQuery({ ...gpusQuery(useApi()), refetchInterval: refreshed_ms })
  return (
    <Page title={t('gpus')} about={t('gpusAbout')}>
      <Asked query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={t('noGpus')}>{t('noGpusHint')}</Empty>
          ) : (
            <Panel className="mx-4 mb-6">
              <GpuTable gpus={items} />
            </Panel>
          )
        }
      </Asked>
    </Page>
  )
}

function GpuTable({ gpus }: { gpus: readonly Gpu[] }) {
  const t = useText(fleetTexts)
  const language = useLanguage()
  const told = (value: number | null, unit: string, digits = 0) =>
    value === null ? '–' : `${value.toFixed(digits)} ${unit}`
  const columns: Column<Gpu>[] = [
    {
      id: 'model',
      head: t('model'),
      cell: ({ model, index }) => (
        <span className="font-medium">
          {model} <span className="font-normal text-muted">{index}</span>
        </span>
      ),
    },
    {
      id: 'place',
      head: t('place'),
      cell: ({ provider, account, region, offer }) => (
        <span className="text-muted">{[...new Set([provider, account, region, offer])].join(' · ')}</span>
      ),
    },
    {
      id: 'memory',
      head: t('memory'),
      align: 'right',
      cell: ({ memory_gib, memory_used_gib }) =>
        `${memory_used_gib === null ? '–' : memory_used_gib.toFixed(1)} / ${told(memory_gib, 'GiB')}`,
    },
    {
      id: 'use',
      head: t('use'),
      align: 'right',
      cell: ({ utilization }) => (utilization === null ? '–' : percent(utilization, language)),
    },
    {
      id: 'temperature',
      head: t('temperature'),
      align: 'right',
      wide: true,
      cell: ({ temperature_c }) => told(temperature_c, '°C'),
    },
    { id: 'power', head: t('power'), align: 'right', wide: true, cell: ({ power_w }) => told(power_w, 'W') },
    {
      id: 'attempts',
      head: t('attempts'),
      align: 'right',
      cell: ({ running, slots }) => (slots === null ? running : `${running} / ${slots}`),
    },
    {
      id: 'driver',
      head: t('driver'),
      wide: true,
      cell: ({ driver, cuda }) => (
        <span className="text-muted">{[driver, cuda].filter(Boolean).join(', ') || '–'}</span>
      ),
    },
  ]
  return (
    <Table
      columns={columns}
      rows={gpus}
      keyOf={({ provider, account, region, offer, attempt_id, index }) =>
        [provider, account, region, offer, attempt_id, index].join('/')
      }
      label={t('gpus')}
    />
  )
}
