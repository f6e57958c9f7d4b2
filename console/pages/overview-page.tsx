import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi } from '../api/context.tsx'
import { may, useMe } from '../api/me.ts'
import { overviewQuery } from '../api/overview.ts'
import type { Overview } from '../api/types.ts'
import { JobList } from '../parts/job-list.tsx'
import { MonthStat, RiskStat, TodayStat } from '../parts/money-stats.tsx'
import { Asked } from '../parts/problem.tsx'
import { ProviderHealth } from '../parts/provider-health.tsx'
import { money } from '../text/format.ts'
import { overviewTexts } from '../text/overview.ts'
import { reasonTexts } from '../text/reasons.ts'
import { shell } from '../text/shell.ts'
import { useLanguage, useText, useWord } from '../text/language.tsx'
import { buttonClass } from '../ui/button.tsx'
import { Page, Panel } from '../ui/page.tsx'
import { Stat } from '../ui/stat.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { Ago } from '../ui/time.tsx'

/** Events tell of jobs; places and prices change without one. */
const refreshed_ms = 10_000

export function OverviewPage() {
  const t = useText(overviewTexts)
  const s = useText(shell)
  const isOperator = may(useMe(), 'operator')
  const query = useQuery({ ...overviewQuery(useApi()), refetchInterval: refreshed_ms })
  return (
    <Page
      title={t('title')}
      actions={
        <Link to="/new" className={buttonClass('primary')}>
          {s('newJob')}
        </Link>
      }
    >
      <div className="flex flex-col gap-4 px-4 pb-6">
        <Asked query={query} rows={3}>
          {(overview) => (
            <>
              <div className="grid grid-cols-[repeat(auto-fit,minmax(11rem,1fr))] gap-3">
                <AtWork overview={overview} />
                <TodayStat />
                <MonthStat />
                {isOperator ? <RiskStat /> : null}
              </div>
              <Waiting overview={overview} />
            </>
          )}
        </Asked>
        <div className="grid gap-4 xl:grid-cols-2">
          <JobList state="running" title={t('runningNow')} none={t('nothingRuns')} />
          <JobList state="failed" title={t('failures')} none={t('noFailures')} />
        </div>
        {isOperator ? <ProviderHealth /> : null}
      </div>
    </Page>
  )
}

function AtWork({ overview: { jobs, counted_to, usd_per_hour } }: { overview: Overview }) {
  const t = useText(overviewTexts)
  const language = useLanguage()
  const shown = (count: number) =>
    `${new Intl.NumberFormat(language).format(count)}${count >= counted_to ? '+' : ''}`
  return (
    <>
      <Stat
        name={t('running')}
        value={
          <Link to="/jobs" search={{ state: 'running' }} className="hover:underline">
            {shown(jobs.running)}
          </Link>
        }
        about={t('perHour', { usd: money(usd_per_hour, language) })}
      />
      <Stat
        name={t('waiting')}
        value={
          <Link to="/jobs" search={{ state: 'queued' }} className="hover:underline">
            {shown(jobs.queued)}
          </Link>
        }
        about={t('scheduled', { n: jobs.scheduled })}
      />
    </>
  )
}

type Group = Overview['waiting'][number]

function Waiting({ overview: { waiting } }: { overview: Overview }) {
  const t = useText(overviewTexts)
  const word = useWord(reasonTexts)
  const columns: Column<Group>[] = [
    {
      id: 'jobs',
      head: t('jobs'),
      align: 'right',
      cell: ({ jobs }) => <span className="font-semibold">{jobs}</span>,
    },
    {
      id: 'reason',
      head: t('reason'),
      cell: ({ reason, rejected }) => (
        <span>
          <span className="font-medium">{word(reason.code)}</span>
          <span className="block text-muted">
            {reason.text}{' '}
            {rejected
              .slice(0, 3)
              .map((each) => `${word(each.reason)}: ${t('offersRefused', { n: each.count })}`)
              .join(' · ')}
          </span>
        </span>
      ),
    },
    { id: 'since', head: t('since'), align: 'right', wide: true, cell: ({ since }) => <Ago at={since} /> },
    {
      id: 'example',
      head: <span className="sr-only">{t('example')}</span>,
      align: 'right',
      cell: ({ job_id }) => (
        <Link
          to="/jobs/$id"
          params={{ id: job_id }}
          search={{ tab: 'explain' }}
          className="text-accent hover:underline"
        >
          {t('example')}
        </Link>
      ),
    },
  ]
  return (
    <Panel
      title={t('whyWaiting')}
      actions={
        waiting.length === 0 ? null : (
          <Link to="/jobs" search={{ state: 'queued' }} className="text-[13px] text-accent hover:underline">
            {t('all')}
          </Link>
        )
      }
    >
      {waiting.length === 0 ? (
        <p className="px-4 py-3 text-muted">{t('nothingWaits')}</p>
      ) : (
        <Table columns={columns} rows={waiting} keyOf={({ reason }) => reason.text} label={t('whyWaiting')} />
      )}
    </Panel>
  )
}
