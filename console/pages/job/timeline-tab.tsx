import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { attemptsQuery, explainQuery } from '../../api/job.ts'
import type { Attempt, Job } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { StateWord } from '../../parts/state.tsx'
import { duration } from '../../text/format.ts'
import { timelineTexts } from '../../text/job.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Money } from '../../ui/money.tsx'
import { Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago, useNow } from '../../ui/time.tsx'
import { Bars } from './bars.tsx'

export function TimelineTab({ job }: { job: Job }) {
  const t = useText(timelineTexts)
  const api = useApi()
  const query = useQuery(attemptsQuery(api, job.id))
  const { data: explained } = useQuery(explainQuery(api, job.id))
  const why = new Map(explained?.attempts.map(({ id, text }) => [id, text]))
  return (
    <Asked query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title={t('none')}>{t('noneHint')}</Empty>
        ) : (
          <div className="flex flex-col gap-4 p-4">
            <Panel title={t('bars')}>
              <Bars job={job} attempts={items} />
            </Panel>
            <Panel title={t('attempts')}>
              <AttemptTable attempts={items} why={why} />
            </Panel>
          </div>
        )
      }
    </Asked>
  )
}

function AttemptTable({ attempts, why }: { attempts: readonly Attempt[]; why: ReadonlyMap<string, string> }) {
  const t = useText(timelineTexts)
  const columns: Column<Attempt>[] = [
    {
      id: 'shard',
      head: t('attempt'),
      cell: ({ shard, number }) => (
        <span className="whitespace-nowrap">{`${t('part', { n: shard })} · ${number}`}</span>
      ),
    },
    {
      id: 'outcome',
      head: t('outcome'),
      cell: ({ outcome, state }) => <StateWord state={outcome ?? state} />,
    },
    {
      id: 'place',
      head: t('place'),
      cell: ({ provider, account, region, offer, spot }) => (
        <span className="flex items-center gap-2 whitespace-nowrap">
          <span className="font-medium">{provider}</span>
          <span className="text-muted">
            {[...new Set([account, region, offer])].filter((part) => part !== provider).join(' · ')}
          </span>
          {spot ? <Badge tone="warn">{t('spot')}</Badge> : null}
        </span>
      ),
    },
    { id: 'device', head: t('device'), cell: ({ device }) => device ?? '–', wide: true },
    {
      id: 'price',
      head: t('price'),
      align: 'right',
      cell: ({ usd_per_hour }) => <Money usd={usd_per_hour} />,
    },
    {
      id: 'started',
      head: t('started'),
      align: 'right',
      wide: true,
      cell: ({ started_at }) => (started_at === null ? '–' : <Ago at={started_at} />),
    },
    { id: 'ran', head: t('ran'), align: 'right', cell: (attempt) => <Ran attempt={attempt} /> },
    {
      id: 'why',
      head: t('why'),
      wide: true,
      cell: ({ id }) => (
        <span className="block max-w-96 truncate text-muted" title={why.get(id)}>
          {why.get(id)}
        </span>
      ),
    },
  ]
  return <Table columns={columns} rows={attempts} keyOf={({ id }) => id} label={t('attempts')} />
}

function Ran({ attempt: { started_at, ended_at } }: { attempt: Attempt }) {
  const language = useLanguage()
  const now = useNow(1_000, started_at !== null && ended_at === null)
  if (started_at === null) return '–'
  const end = ended_at === null ? now : new Date(ended_at)
  return duration((end.getTime() - new Date(started_at).getTime()) / 1_000, language)
}
