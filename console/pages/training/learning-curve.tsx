import { useCallback, useMemo } from 'react'
import type { TrainingResult } from '../../api/results.ts'
import { Scatter } from '../../charts/scatter.tsx'
import { figure, shortNumber, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { trainingTexts } from '../../text/training.ts'
import { Panel } from '../../ui/page.tsx'

export function LearningCurve({ result }: { result: TrainingResult }) {
  const t = useText(trainingTexts)
  const language = useLanguage()
  const name = useMetricName()
  const curve = useMemo(() => result.learning_curve ?? [], [result])
  const metric =
    result.effective_spec.search?.objective ??
    (result.effective_spec.target?.kind === 'classification' ? 'log_loss' : 'rmse')
  const format = useCallback((value: number) => figure(metric, value, language), [metric, language])
  const lines = useMemo(
    () =>
      (['train', 'test'] as const).map((part) => ({
        name: part === 'train' ? t('train') : t('test'),
        look: 'line' as const,
        pairs: curve.flatMap(({ train_rows, [part]: metrics }) => {
          const value = metrics[metric]
          return typeof value === 'number' ? [[train_rows, value] as const] : []
        }),
      })),
    [curve, metric, t],
  )
  const axes = useMemo(
    () => ({
      x: { name: t('trainRows'), format: (value: number) => shortNumber(value, language) },
      y: { name: name(metric), format },
    }),
    [t, language, name, metric, format],
  )
  if (curve.length === 0)
    return (
      <Panel title={t('curve')}>
        <p className="px-4 py-4 text-[13px] text-muted">{t('noCurve')}</p>
      </Panel>
    )
  const tested = lines[1]?.pairs ?? []
  return (
    <Scatter
      title={`${t('curve')} · ${name(metric)}`}
      about={t('curveAbout', {
        metric: name(metric),
        first: format(tested[0]?.[1] ?? 0),
        last: format(tested.at(-1)?.[1] ?? 0),
      })}
      clouds={none}
      lines={lines}
      {...axes}
      note={t('curveNote')}
      numbers={() => ({
        head: [t('trainRows'), t('train'), t('test')],
        rows: curve.map(({ train_rows, train, test }) => [
          train_rows,
          figure(metric, train[metric], language),
          figure(metric, test[metric], language),
        ]),
      })}
    />
  )
}

const none: [] = []
