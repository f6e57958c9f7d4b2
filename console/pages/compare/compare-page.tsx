// Two to six jobs beside each other.
import { useQueries, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import X from 'lucide-react/icons/x'
import { useApi } from '../../api/context.tsx'
import { type Api, answered } from '../../api/client.ts'
import { jobQuery } from '../../api/jobs.ts'
import { backtestResult, trainingResult } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { useColours } from '../../charts/colours.ts'
import { Problem } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { compareTexts } from '../../text/compare.ts'
import { useText } from '../../text/language.tsx'
import { IconButton } from '../../ui/button.tsx'
import { Field, Select } from '../../ui/field.tsx'
import { Page } from '../../ui/page.tsx'
import { Empty, Skeleton } from '../../ui/states.tsx'
import { CurvesPanel } from './curves-panel.tsx'
import { BacktestFigures, TrainingFigures } from './figures-panel.tsx'
import { idsIn, mostJobs } from './search.ts'
import { SpecsPanel } from './specs-panel.tsx'

export function ComparePage() {
  const t = useText(compareTexts)
  const c = useText(common)
  const api = useApi()
  const { jobs: given } = useSearch({ from: '/compare' })
  const ids = idsIn(given)
  const queries = useQueries({ queries: ids.map((id) => jobQuery(api, id)) })
  const navigate = useNavigate({ from: '/compare' })
  const show = (next: readonly string[]) =>
    void navigate({ search: next.length === 0 ? {} : { jobs: next.join(',') }, replace: true })
  const jobs = queries.flatMap(({ data }) => (data === undefined ? [] : [data]))
  const isReading = queries.some(({ isPending }) => isPending)
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex flex-col gap-4 px-4 pb-6">
        <Chosen jobs={jobs} onRemove={(id) => show(ids.filter((each) => each !== id))} />
        <Add ids={ids} kind={jobs[0]?.kind} onAdd={(id) => show([...ids, id])} />
        {queries.map(({ error, refetch }, at) =>
          error === null ? null : (
            <Problem
              key={ids[at]}
              error={error}
              title={t('notRead', { id: ids[at] ?? '' })}
              onRetry={() => void refetch()}
            />
          ),
        )}
        {isReading ? (
          <Skeleton label={c('loading')} rows={8} />
        ) : jobs.length < 2 ? (
          <Empty title={t('few')}>{t('fewHint')}</Empty>
        ) : (
          <Compared jobs={jobs} />
        )}
      </div>
    </Page>
  )
}

function Compared({ jobs }: { jobs: readonly Job[] }) {
  const t = useText(compareTexts)
  const backtests = jobs.flatMap((job) => {
    const result = backtestResult(job)
    return result ? [{ job, result }] : []
  })
  const trainings = jobs.flatMap((job) => {
    const result = trainingResult(job)
    return result ? [{ job, result }] : []
  })
  return (
    <>
      {backtests.length > 1 ? (
        <>
          <CurvesPanel backtests={backtests} />
          <BacktestFigures backtests={backtests} />
        </>
      ) : trainings.length > 1 ? (
        <TrainingFigures trainings={trainings} />
      ) : (
        <p className="text-[13px] text-muted">{t('mixed')}</p>
      )}
      <SpecsPanel jobs={jobs} />
    </>
  )
}

interface ChosenProps {
  jobs: readonly Job[]
  onRemove: (id: string) => void
}

function Chosen({ jobs, onRemove }: ChosenProps) {
  const t = useText(compareTexts)
  const { series } = useColours()
  return (
    <ul className="flex flex-wrap gap-2">
      {jobs.map(({ id, name }, at) => (
        <li
          key={id}
          className="flex h-8 items-center gap-2 rounded-md border border-line bg-surface pr-0.5 pl-2.5"
        >
          <span aria-hidden className="size-2.5 rounded-sm" style={{ background: series[at] }} />
          <Link to="/jobs/$id" params={{ id }} className="max-w-60 truncate font-medium hover:underline">
            {name ?? id}
          </Link>
          <IconButton
            small
            label={t('remove', { name: name ?? id })}
            onClick={() => onRemove(id)}
            className="h-6! w-6!"
          >
            <X className="size-3.5" aria-hidden />
          </IconButton>
        </li>
      ))}
    </ul>
  )
}

interface AddProps {
  ids: readonly string[]
  kind: string | undefined
  onAdd: (id: string) => void
}

/** The newest that have succeeded, of the kind of those that are there. */
function Add({ ids, kind, onAdd }: AddProps) {
  const t = useText(compareTexts)
  const { data } = useQuery(recentQuery(useApi(), kind))
  const isFull = ids.length >= mostJobs
  return (
    <Field label={t('add')} hint={isFull ? t('full') : undefined} className="max-w-sm">
      <Select
        value=""
        disabled={isFull}
        onChange={({ target }) => {
          if (target.value !== '') onAdd(target.value)
        }}
      >
        <option value="">{t('choose')}</option>
        {(data?.items ?? [])
          .filter(({ id }) => !ids.includes(id))
          .map(({ id, name, created_at }) => (
            <option key={id} value={id}>
              {`${name ?? id} · ${created_at.slice(0, 16).replace('T', ' ')}`}
            </option>
          ))}
      </Select>
    </Field>
  )
}

const recentQuery = (api: Api, kind: string | undefined) => ({
  queryKey: ['compare', 'recent', kind ?? ''],
  queryFn: async () =>
    await answered(
      api.routes.v1.jobs.$get({
        query: { state: 'succeeded', limit: '100', ...(kind === undefined ? {} : { kind }) },
      }),
    ),
})
