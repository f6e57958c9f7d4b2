import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { datasetsQuery } from '../../api/project.ts'
import type { Dataset } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { UploadButton } from '../../parts/upload.tsx'
import { common } from '../../text/common.ts'
import { datasetTexts } from '../../text/datasets.ts'
import { bytes, count } from '../../text/format.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { CopyText } from '../../ui/copy.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago } from '../../ui/time.tsx'

export function DatasetsPage() {
  const t = useText(datasetTexts)
  const query = useQuery(datasetsQuery(useApi()))
  return (
    <Page title={t('title')} about={t('about')} actions={<UploadButton />}>
      <Asked query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={t('none')}>{t('noneHint')}</Empty>
          ) : (
            <Panel className="mx-4 mb-6">
              <DatasetTable datasets={items} />
            </Panel>
          )
        }
      </Asked>
    </Page>
  )
}

function DatasetTable({ datasets }: { datasets: readonly Dataset[] }) {
  const t = useText(datasetTexts)
  const c = useText(common)
  const language = useLanguage()
  const mayNot = useWhyNot('member')
  const { routes } = useApi()
  const remove = useOrder((id: string) => routes.v1.datasets[':id'].$delete({ param: { id } }), {
    changes: [['datasets']],
    told: t('removed'),
  })
  const columns: Column<Dataset>[] = [
    { id: 'name', head: t('name'), cell: ({ name }) => <span className="font-medium">{name}</span> },
    { id: 'id', head: 'ID', cell: ({ id }) => <CopyText text={id} label={c('copy')} /> },
    {
      id: 'state',
      head: t('state'),
      cell: ({ state }) => <Badge tone={state === 'ready' ? 'good' : 'warn'}>{state}</Badge>,
    },
    {
      id: 'rows',
      head: t('rows'),
      align: 'right',
      cell: ({ rows }) => (rows === null ? '–' : count(rows, language)),
    },
    {
      id: 'days',
      head: t('days'),
      wide: true,
      cell: ({ first, last }) => (
        <span className="text-muted">{[first, last].filter(Boolean).join(', ')}</span>
      ),
    },
    { id: 'size', head: t('size'), align: 'right', cell: (dataset) => bytes(dataset.bytes, language) },
    {
      id: 'created',
      head: c('created'),
      align: 'right',
      wide: true,
      cell: ({ created_at }) => <Ago at={created_at} />,
    },
    {
      id: 'remove',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: ({ id, name }) => (
        <Confirm
          label={c('remove')}
          title={`${c('remove')}: ${name}`}
          about={t('removeAbout')}
          why_not={mayNot}
          onConfirm={() => remove.mutate(id)}
        />
      ),
    },
  ]
  return <Table columns={columns} rows={datasets} keyOf={({ id }) => id} label={t('title')} />
}
