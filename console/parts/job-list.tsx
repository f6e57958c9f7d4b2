import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi } from '../api/context.tsx'
import { recentJobsQuery } from '../api/overview.ts'
import { percent } from '../text/format.ts'
import { overviewTexts } from '../text/overview.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { Panel } from '../ui/page.tsx'
import { Ago } from '../ui/time.tsx'
import { Asked } from './problem.tsx'

const shown = 6
const refreshed_ms = 5_000

/** The newest jobs of a state, in a panel. */
export function JobList({
  state,
  title,
  none,
}: {
  state: 'running' | 'failed'
  title: string
  none: string
}) {
  const t = useText(overviewTexts)
  const language = useLanguage()
  const query = useQuery({ ...recentJobsQuery(useApi(), state, shown), refetchInterval: refreshed_ms })
  return (
    <Panel
      title={title}
      actions={
        <Link to="/jobs" search={{ state }} className="text-[13px] text-accent hover:underline">
          {t('all')}
        </Link>
      }
    >
      <Asked query={query} rows={3}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="px-4 py-3 text-muted">{none}</p>
          ) : (
            <ul>
              {items.map((job) => (
                <li
                  key={job.id}
                  className="flex min-h-9 items-center gap-3 border-b border-line px-4 py-1 text-[13px] last:border-0"
                >
                  <Link
                    to="/jobs/$id"
                    params={{ id: job.id }}
                    className="min-w-0 shrink-0 basis-1/3 truncate font-medium hover:underline"
                  >
                    {job.name ?? job.id}
                  </Link>
                  <span className="min-w-0 flex-1 truncate text-muted" title={job.error?.message}>
                    {job.error?.message ??
                      `${job.attempts.at(-1)?.provider ?? ''} ${percent(job.progress, language)}`}
                  </span>
                  <span className="text-muted">
                    <Ago at={job.finished_at ?? job.started_at ?? job.created_at} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Asked>
    </Panel>
  )
}
