import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useApi } from '../../api/context.tsx'
import { type Table, tableQuery } from '../../api/results.ts'
import { Scatter } from '../../charts/scatter.tsx'
import { plainNumber } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { trainingTexts } from '../../text/training.ts'
import { Left } from './left.tsx'

/** A cloud of more is one blot. */
const most = 3_000

export function PredictionsPanel({ job_id }: { job_id: string }) {
  const t = useText(trainingTexts)
  const wanted = { columns: 'date,symbol,y,prediction', max_rows: most }
  const query = useQuery(tableQuery(useApi(), job_id, 'predictions.parquet', wanted))
  return (
    <Left
      query={query}
      title={t('predictions')}
      none={t('missing', { file: 'predictions.parquet', why: '' })}
    >
      {(found) => <Predictions found={found} />}
    </Left>
  )
}

function Predictions({ found }: { found: Table }) {
  const t = useText(trainingTexts)
  const language = useLanguage()
  const pairs = useMemo(() => pairsOf(found), [found])
  const clouds = useMemo(() => [{ name: t('rows'), pairs }], [t, pairs])
  const lines = useMemo(() => {
    const given = pairs.map(([prediction]) => prediction)
    if (given.length === 0) return []
    const [low, high] = [Math.min(...given), Math.max(...given)]
    return [
      { name: t('perfect'), look: 'dashed' as const, pairs: [[low, low] as const, [high, high] as const] },
    ]
  }, [t, pairs])
  const axes = useMemo(() => {
    const format = (value: number) => plainNumber(Number(value.toPrecision(3)), language)
    return { x: { name: t('prediction'), format }, y: { name: t('truth'), format } }
  }, [t, language])
  const told = { n: pairs.length, all: found.rows }
  return (
    <Scatter
      title={t('predictions')}
      about={t('predictionsAbout', told)}
      clouds={clouds}
      lines={lines}
      {...axes}
      note={t('predictionsNote', told)}
      numbers={() => ({
        head: ['date', 'symbol', t('prediction'), t('truth')],
        rows: (found.columns['date'] ?? []).map((date, at) => [
          date,
          found.columns['symbol']?.[at] ?? null,
          shown(found.columns['prediction']?.[at], axes.x.format),
          shown(found.columns['y']?.[at], axes.x.format),
        ]),
      })}
    />
  )
}

const shown = (value: number | string | null | undefined, format: (value: number) => string) =>
  typeof value === 'number' ? format(value) : null

/** Rows that have a truth: the last dates have none yet. */
function pairsOf({ columns }: Table) {
  const { y = [], prediction = [] } = columns
  return y.flatMap((truth, at) => {
    const given = prediction[at]
    return typeof truth === 'number' && typeof given === 'number' ? [[given, truth] as const] : []
  })
}
