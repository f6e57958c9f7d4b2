import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { answered } from '../api/client.ts'
import { useApi } from '../api/context.tsx'
import { may, useMe } from '../api/me.ts'
import { jobQuery } from '../api/jobs.ts'
import type { Job, JobBody } from '../api/types.ts'
import { Asked, useOrder } from '../parts/problem.tsx'
import { useWhyNot } from '../parts/rights.ts'
import { StateBadge } from '../parts/state.tsx'
import { percent } from '../text/format.ts'
import { startTexts } from '../text/project.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { Button, buttonClass } from '../ui/button.tsx'
import { Page, Panel } from '../ui/page.tsx'
import { templates } from './new/templates.ts'

export function StartPage() {
  const t = useText(startTexts)
  const [id, setId] = useState<string | null>(null)
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex max-w-3xl flex-col gap-4 px-4 pb-6">
        <Panel>
          <div className="flex flex-col gap-4 p-4">
            <p>{t('what')}</p>
            {id === null ? <Run onJob={setId} /> : <Follow id={id} />}
          </div>
        </Panel>
        <Next />
      </div>
    </Page>
  )
}

function Run({ onJob }: { onJob: (id: string) => void }) {
  const t = useText(startTexts)
  const mayNot = useWhyNot('member')
  const { routes } = useApi()
  const submit = useOrder(
    () =>
      answered(
        routes.v1.jobs.$post({
          json: { ...templates[0]?.spec, cache: false } as JobBody,
          query: {},
          header: {},
        }),
      ),
    { changes: [['jobs'], ['overview']], onDone: ({ id }) => onJob(id) },
  )
  return (
    <div>
      <Button
        look="primary"
        why_not={mayNot}
        busy={submit.isPending}
        onClick={() => submit.mutate(undefined)}
      >
        {t('run')}
      </Button>
    </div>
  )
}

const progress_ms = 500

function Follow({ id }: { id: string }) {
  const query = useQuery({
    ...jobQuery(useApi(), id),
    refetchInterval: ({ state: { data } }) =>
      data === undefined || data.finished_at === null ? progress_ms : false,
  })
  return <Asked query={query}>{(job) => <Progress job={job} />}</Asked>
}

function Progress({ job }: { job: Job }) {
  const t = useText(startTexts)
  const language = useLanguage()
  const isOver = job.finished_at !== null
  const link = (text: string) => (
    <Link to="/jobs/$id" params={{ id: job.id }} className={buttonClass(isOver ? 'primary' : 'plain')}>
      {text}
    </Link>
  )
  return (
    <div className="flex flex-col gap-4" aria-live="polite">
      <div className="flex items-center gap-3">
        <StateBadge state={job.state} />
        <span className="h-1.5 flex-1 overflow-hidden rounded-full bg-idle-wash">
          <span
            className="block h-full rounded-full bg-accent transition-[width]"
            style={{ width: `${job.progress * 100}%` }}
          />
        </span>
        <span className="tnum">{percent(job.progress, language)}</span>
      </div>
      {job.state === 'succeeded' ? <Best job={job} /> : null}
      <div>{link(job.state === 'failed' ? t('failed') : isOver ? t('open') : t('running'))}</div>
    </div>
  )
}

interface Result {
  points?: number
  best?: { parameters?: Record<string, unknown>; metrics?: Record<string, number | null> }
  overfitting?: { deflated_sharpe?: number | null } | null
}

/** The best point, and beside it how many were tried and what is left of its Sharpe ratio because of that. */
function Best({ job }: { job: Job }) {
  const t = useText(startTexts)
  const language = useLanguage()
  const { points, best, overfitting } = job.result as Result
  const metrics = best?.metrics ?? {}
  const share = (value: number | null | undefined) =>
    typeof value !== 'number' ? '–' : percent(value, language, 1)
  const plain = (value: number | null | undefined) => (typeof value !== 'number' ? '–' : value.toFixed(2))
  const shown = [
    [t('sharpe'), plain(metrics['sharpe'])],
    [t('deflated'), plain(overfitting?.deflated_sharpe)],
    [t('annual'), share(metrics['annual_return'])],
    [t('drawdown'), share(metrics['max_drawdown'])],
  ] as const
  return (
    <div>
      <p className="text-[13px] text-muted">
        {t('best', { n: points ?? 0 })}:{' '}
        {Object.entries(best?.parameters ?? {})
          .map(([name, value]) => `${name} ${String(value)}`)
          .join(', ')}
      </p>
      <dl className="mt-2 grid grid-cols-2 gap-3 sm:grid-cols-4">
        {shown.map(([name, value]) => (
          <div key={name}>
            <dt className="text-xs text-muted">{name}</dt>
            <dd className="tnum text-xl font-semibold">{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

function Next() {
  const t = useText(startTexts)
  const me = useMe()
  const card = 'block rounded-lg border border-line bg-surface px-4 py-3 hover:border-line-strong'
  return (
    <section>
      <h2 className="pb-2 text-[13px] font-semibold">{t('next')}</h2>
      <div className="grid gap-3 sm:grid-cols-2">
        <Link to="/new" className={card}>
          <span className="font-medium">{t('own')}</span>
          <span className="block text-[13px] text-muted">{t('ownAbout')}</span>
        </Link>
        {may(me, 'operator') ? (
          <Link to="/accounts/add" className={card}>
            <span className="font-medium">{t('clouds')}</span>
            <span className="block text-[13px] text-muted">{t('cloudsAbout')}</span>
          </Link>
        ) : null}
        <Link to="/usage" className={card}>
          <span className="font-medium">{t('budget')}</span>
          <span className="block text-[13px] text-muted">{t('budgetAbout')}</span>
        </Link>
        {may(me, 'admin') ? (
          <Link to="/keys" className={card}>
            <span className="font-medium">{t('keys')}</span>
            <span className="block text-[13px] text-muted">{t('keysAbout')}</span>
          </Link>
        ) : null}
      </div>
    </section>
  )
}
