import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi } from '../../api/context.tsx'
import { useMe } from '../../api/me.ts'
import { runningQuery } from '../../api/providers.ts'
import type { RunningAttempt } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { StateWord } from '../../parts/state.tsx'
import { providerTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Money } from '../../ui/money.tsx'
import { Panel } from '../../ui/page.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago } from '../../ui/time.tsx'

const refreshed_ms = 5_000

/** Everything that runs at an account, of all projects, with its job. */
export function RunningPanel({ of }: { of: { provider?: string; account?: string } }) {
  const t = useText(providerTexts)
  const me = useMe()
  const query = useQuery({ ...runningQuery(useApi(), of), refetchInterval: refreshed_ms })
  const columns: Column<RunningAttempt>[] = [
    {
      id: 'job',
      head: t('job'),
      cell: ({ job_id, job, project_id }) =>
        project_id === me?.project?.id ? (
          <Link to="/jobs/$id" params={{ id: job_id }} className="font-medium hover:underline">
            {job ?? job_id}
          </Link>
        ) : (
          <span className="font-medium">{job ?? job_id}</span>
        ),
    },
    {
      id: 'project',
      head: t('project'),
      wide: true,
      cell: ({ project }) => <span className="text-muted">{project}</span>,
    },
    { id: 'state', head: t('state'), cell: ({ state }) => <StateWord state={state} /> },
    {
      id: 'place',
      head: t('place'),
      wide: true,
      cell: ({ region, offer, device }) => (
        <span className="text-muted">{[region, offer, device].filter(Boolean).join(' · ')}</span>
      ),
    },
    {
      id: 'price',
      head: t('price'),
      align: 'right',
      cell: ({ usd_per_hour }) => <Money usd={usd_per_hour} />,
    },
    { id: 'cost', head: t('soFar'), align: 'right', cell: ({ usd_so_far }) => <Money usd={usd_so_far} /> },
    {
      id: 'since',
      head: t('since'),
      align: 'right',
      wide: true,
      cell: ({ created_at }) => <Ago at={created_at} />,
    },
    {
      id: 'heard',
      head: t('heard'),
      align: 'right',
      wide: true,
      cell: ({ heard_at }) => (heard_at === null ? '–' : <Ago at={heard_at} />),
    },
  ]
  return (
    <Panel title={t('runningThere')}>
      <Asked query={query} rows={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="px-4 py-3 text-muted">{t('nothingThere')}</p>
          ) : (
            <Table columns={columns} rows={items} keyOf={({ id }) => id} label={t('runningThere')} />
          )
        }
      </Asked>
    </Panel>
  )
}
