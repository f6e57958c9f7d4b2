// What a training has found: honest figures first, those that chose the model labelled as such.
import { trainingResult, type TrainingResult } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { Parameters, Tile } from '../../parts/best-point.tsx'
import { Warnings } from '../../parts/warnings.tsx'
import { number, useFigure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { results } from '../../text/results.ts'
import { trainingTexts } from '../../text/training.ts'
import { Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { FoldsPanel } from './folds-panel.tsx'
import { ImportancePanel } from './importance-panel.tsx'
import { LearningCurve } from './learning-curve.tsx'
import { PredictionsPanel } from './predictions-panel.tsx'
import { TrialsPanel } from './trials-panel.tsx'

export function TrainingTab({ job }: { job: Job }) {
  const t = useText(results)
  const result = trainingResult(job)
  if (result === null) return <Empty title={t('noResult')}>{t('noResultHint')}</Empty>
  return (
    <div className="flex flex-col gap-4 p-4">
      <Head result={result} />
      <Warnings warnings={result.warnings} />
      <FoldsPanel result={result} />
      <div className="grid gap-4 xl:grid-cols-2">
        <ImportancePanel job_id={job.id} />
        <LearningCurve result={result} />
        <PredictionsPanel job_id={job.id} />
        {result.trials > 0 ? <TrialsPanel job_id={job.id} result={result} /> : null}
      </div>
      <Final result={result} />
    </div>
  )
}

const shown = [
  'rmse',
  'mae',
  'r2',
  'ic',
  'rank_ic',
  'icir',
  'ic_pooled',
  'accuracy',
  'auc',
  'f1',
  'log_loss',
] as const

function Head({ result }: { result: TrainingResult }) {
  const t = useText(trainingTexts)
  const { model, ensemble, target, validation = {} } = result.effective_spec
  const horizon = target?.horizon ? ` (${target.horizon})` : ''
  return (
    <section
      aria-label={t('metricsTitle')}
      className="overflow-hidden rounded-lg border border-line bg-surface"
    >
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2.5">
        <h2 className="text-[13px] font-semibold">{t('test')}</h2>
        <span className="text-[13px] text-muted">
          {t('summary', {
            model: model?.name ?? ensemble?.method ?? '–',
            target: `${target?.name ?? 'table'}${horizon}`,
            validation: validation.method ?? '–',
            folds: validation.folds ?? 0,
            purge: validation.purge ?? 0,
          })}
        </span>
      </div>
      <Tiles result={result} />
    </section>
  )
}

function Tiles({ result }: { result: TrainingResult }) {
  const t = useText(trainingTexts)
  const r = useText(results)
  const language = useLanguage()
  const figure = useFigure()
  const name = useMetricName()
  const { test, selection, holdout } = result.metrics
  const objective = result.effective_spec.search?.objective ?? ''
  const chosenBy = (each: string) =>
    selection && objective === each
      ? `${t('selection')}: ${figure(each, selection[each])} (${t('biased')})`
      : undefined
  const passed = result.look_ahead?.ok === true
  return (
    <dl className="grid grid-cols-2 sm:grid-cols-3 xl:grid-cols-6">
      {shown
        .filter((each) => test.overall[each] !== undefined)
        .map((each) => (
          <Tile
            key={each}
            name={name(each)}
            value={figure(each, test.overall[each])}
            help={t('testHelp')}
            under={chosenBy(each)}
          />
        ))}
      {holdout ? (
        <Tile name={`${t('holdout')}: ${name(objective)}`} value={figure(objective, holdout[objective])} />
      ) : null}
      <Tile name={t('trialsTried')} value={number(result.trials, language, 0)} help={t('trialsHelp')} />
      <Tile
        name={r('lookAhead')}
        value={passed ? '✓' : '–'}
        under={passed ? r('lookAheadPassed', { n: result.look_ahead?.checked ?? 0 }) : r('lookAheadNone')}
      />
    </dl>
  )
}

function Final({ result }: { result: TrainingResult }) {
  const t = useText(trainingTexts)
  return (
    <Panel title={t('final')}>
      <div className="px-4 py-3">
        <Parameters parameters={result.best.params} />
      </div>
    </Panel>
  )
}
