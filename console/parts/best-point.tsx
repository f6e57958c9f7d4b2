// The best point, and never it alone: how many were tried, what luck makes of it, and what it is worth on dates it has not seen.
import type { ReactNode } from 'react'
import type { BacktestResult } from '../api/results.ts'
import { figure, number, plainNumber, share, useMetricName } from '../text/figures.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { results } from '../text/results.ts'
import { Tip } from '../ui/tip.tsx'

/** Below it luck is not ruled out at the usual 5 % (docs/conventions.md, section 5). */
const sure = 0.95
/** A choice that is as often below the middle as above it. */
const even = 0.5

export function BestPoint({ result }: { result: BacktestResult }) {
  const t = useText(results)
  const language = useLanguage()
  const name = useMetricName()
  const { best, points, skipped, overfitting, effective_spec } = result
  const objective = effective_spec.search?.objective ?? 'sharpe'
  const tried = overfitting?.trials ?? points
  return (
    <section aria-label={t('bestPoint')} className="overflow-hidden rounded-lg border border-line bg-surface">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2.5">
        <h2 className="text-[13px] font-semibold">{tried > 1 ? t('bestPoint') : t('theOnlyPoint')}</h2>
        <Parameters parameters={best.parameters} />
        <span className="text-[13px] text-muted">
          {tried > 1 ? t('bestOf', { n: tried }) : ''}
          {skipped > 0 ? `, ${t('skippedPoints', { n: skipped })}` : ''}
        </span>
      </div>
      <dl className="grid grid-cols-2 sm:grid-cols-3 xl:grid-cols-5">
        <Tile
          name={name(objective)}
          value={figure(objective, best.objective, language)}
          under={t('inSample')}
        />
        <Tile name={t('pointsTried')} value={number(tried, language, 0)} help={t('pointsTriedHelp')} />
        <Luck overfitting={overfitting} />
        <OutOfSample result={result} />
      </dl>
    </section>
  )
}

/** How far the search itself made the figures. */
function Luck({ overfitting }: { overfitting: BacktestResult['overfitting'] | undefined }) {
  const t = useText(results)
  const language = useLanguage()
  const { deflated_sharpe: deflated = null, pbo = null } = overfitting ?? {}
  const isSure = deflated !== null && deflated >= sure
  return (
    <>
      <Tile
        name={t('deflated')}
        value={deflated === null ? '–' : number(deflated, language, 3)}
        help={t('deflatedHelp')}
        tone={deflated === null || isSure ? undefined : 'warn'}
        under={deflated === null ? undefined : `${isSure ? '≥' : '<'} ${sure}`}
      />
      <Tile
        name={t('pbo')}
        value={pbo === null ? '–' : share(pbo, language, 1)}
        help={t('pboHelp')}
        tone={pbo !== null && pbo >= even ? 'warn' : undefined}
      />
    </>
  )
}

export const isValidated = ({ effective_spec }: BacktestResult): boolean =>
  !['none', undefined].includes(effective_spec.validation?.method)

function OutOfSample({ result }: { result: BacktestResult }) {
  const t = useText(results)
  const language = useLanguage()
  const objective = result.effective_spec.search?.objective ?? 'sharpe'
  // With validation the headline figures are those of the chained tests (docs/conventions.md).
  return isValidated(result) ? (
    <Tile
      name={t('outOfSample')}
      value={figure(objective, result.best.metrics[objective], language)}
      help={t('outOfSampleHelp')}
    />
  ) : (
    <Tile name={t('outOfSample')} value={t('noValidation')} help={t('noValidationHelp')} tone="warn" />
  )
}

interface TileProps {
  name: string
  value: string
  help?: string | undefined
  under?: string | undefined
  tone?: 'warn' | undefined
}

/** A figure with its name; what it means where one points at it. */
export function Tile({ name, value, help, under, tone }: TileProps) {
  return (
    <div className="-mt-px -ml-px flex min-w-0 flex-col gap-0.5 border-t border-l border-line px-4 py-3">
      <dt className="truncate text-xs text-muted">
        <Explained help={help}>{name}</Explained>
      </dt>
      <dd className={`tnum text-lg leading-tight font-semibold ${tone === 'warn' ? 'text-warn' : ''}`}>
        {value}
      </dd>
      {under === undefined ? null : <dd className="truncate text-xs text-faint">{under}</dd>}
    </div>
  )
}

export function Explained({ help, children }: { help?: string | undefined; children: ReactNode }) {
  if (help === undefined) return <span>{children}</span>
  return (
    <Tip text={help}>
      <button
        type="button"
        className="min-h-6 cursor-help truncate text-left underline decoration-line-strong decoration-dotted underline-offset-4"
      >
        {children}
      </button>
    </Tip>
  )
}

export function Parameters({ parameters }: { parameters: Readonly<Record<string, unknown>> }) {
  const t = useText(results)
  const language = useLanguage()
  const entries = Object.entries(parameters)
  if (entries.length === 0) return <span className="text-[13px] text-muted">{t('noParameters')}</span>
  return (
    <span className="flex flex-wrap gap-1">
      {entries.map(([name, value]) => (
        <code key={name} className="rounded bg-idle-wash px-1.5 py-0.5 text-xs">
          {name}{' '}
          <b className="font-semibold">
            {typeof value === 'number' ? plainNumber(value, language) : String(value)}
          </b>
        </code>
      ))}
    </span>
  )
}
