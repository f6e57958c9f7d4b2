import { useQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { type Table, tableQuery } from '../../api/results.ts'
import { Bars } from '../../charts/bars.tsx'
import { number, plainNumber } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { trainingTexts } from '../../text/training.ts'
import { Select } from '../../ui/field.tsx'
import { Left } from './left.tsx'

/** More are no longer told apart; all of them are in importance.parquet. */
const most = 24

export function ImportancePanel({ job_id }: { job_id: string }) {
  const t = useText(trainingTexts)
  const query = useQuery(tableQuery(useApi(), job_id, 'importance.parquet'))
  return (
    <Left query={query} title={t('importance')} none={t('noImportance')}>
      {(found) => <Importance found={found} />}
    </Left>
  )
}

function Importance({ found }: { found: Table }) {
  const t = useText(trainingTexts)
  const language = useLanguage()
  const methods = [...new Set(found.columns['method'])].map(String)
  const [method, setMethod] = useState(methods[0] ?? '')
  const bars = useMemo(() => barsOf(found, method), [found, method])
  const format = useCallback(
    (value: number) => (Math.abs(value) < 0.001 ? plainNumber(value, language) : number(value, language, 3)),
    [language],
  )
  const about = (each: string) => {
    const [, loss] = /^permutation_(.+)$/.exec(each) ?? []
    if (loss !== undefined) return t('method_permutation', { loss })
    return each === 'gain' || each === 'impurity' || each === 'coefficient' ? t(`method_${each}`) : each
  }
  return (
    <Bars
      title={t('importance')}
      about={t('importanceAbout', { n: found.rows, first: bars[0]?.name ?? '–' })}
      bars={bars}
      head={[t('feature'), t('share')]}
      format={format}
      lying
      height={Math.max(220, 60 + bars.length * 24)}
      note={about(method)}
      actions={
        methods.length > 1 ? (
          <Select
            aria-label={t('importance')}
            className="w-auto! max-w-44"
            value={method}
            onChange={({ target }) => setMethod(target.value)}
          >
            {methods.map((each) => (
              <option key={each} value={each}>
                {about(each)}
              </option>
            ))}
          </Select>
        ) : undefined
      }
    />
  )
}

function barsOf({ columns }: Table, method: string) {
  const { feature = [], importance = [], deviation = [] } = columns
  const number_at = (values: Table['columns'][string], at: number) => {
    const value = values[at]
    return typeof value === 'number' ? value : null
  }
  return feature
    .flatMap((name, at) =>
      columns['method']?.[at] === method
        ? [{ name: String(name), value: number_at(importance, at), deviation: number_at(deviation, at) }]
        : [],
    )
    .slice(0, most)
}
