import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { Suspense } from 'react'
import { useApi } from '../../api/context.tsx'
import { jobQuery } from '../../api/jobs.ts'
import type { Job } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { StateBadge } from '../../parts/state.tsx'
import { common } from '../../text/common.ts'
import { jobTexts } from '../../text/job.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { CopyText } from '../../ui/copy.tsx'
import { Page } from '../../ui/page.tsx'
import { Skeleton } from '../../ui/states.tsx'
import { Tabs } from '../../ui/tabs.tsx'
import { JobActions } from './actions.tsx'
import { JobFailure } from './failure.tsx'
import { JobFacts } from './facts.tsx'
import { jobTabs } from './tabs.ts'

/** Progress of what runs is in no event: it is asked for while somebody looks. */
const progress_ms = 2_000

export function JobPage() {
  const { id } = useParams({ from: '/jobs/$id' })
  const query = useQuery({
    ...jobQuery(useApi(), id),
    // A job that has ended still settles its cost.
    refetchInterval: ({ state: { data } }) => (data === undefined || data.cost.final ? false : progress_ms),
  })
  return <Asked query={query}>{(job) => <Loaded job={job} />}</Asked>
}

function Loaded({ job }: { job: Job }) {
  const t = useText(jobTexts)
  const c = useText(common)
  const language = useLanguage()
  const { tab } = useSearch({ from: '/jobs/$id' })
  const navigate = useNavigate()
  const shown = jobTabs.filter(({ shows }) => shows(job))
  const first = shown.find(({ leads }) => leads?.(job)) ?? shown[0]
  return (
    <Page
      title={job.name ?? job.id}
      about={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1 pt-1">
          <StateBadge state={job.state} />
          <span>{job.kind}</span>
          <CopyText text={job.id} label={t('copyId')} />
        </span>
      }
      actions={<JobActions job={job} />}
    >
      <JobFacts job={job} />
      <JobFailure job={job} />
      <Tabs
        label={t('details')}
        open={tab ?? first?.id ?? ''}
        onOpen={(id) =>
          void navigate({ to: '/jobs/$id', params: { id: job.id }, search: { tab: id }, replace: true })
        }
        tabs={shown.map(({ id, label, Content }) => ({
          id,
          label: label[language === 'en' ? 0 : 1],
          content: () => (
            <Suspense fallback={<Skeleton label={c('loading')} />}>
              <Content job={job} />
            </Suspense>
          ),
        }))}
      />
    </Page>
  )
}
