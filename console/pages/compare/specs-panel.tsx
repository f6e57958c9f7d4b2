import { useMemo, useState } from 'react'
import type { Job } from '../../api/types.ts'
import { compareTexts } from '../../text/compare.ts'
import { useText } from '../../text/language.tsx'
import { Check } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { differences } from './shape.ts'

/** Of source code the first lines say which it is. */
const mostText = 160

export function SpecsPanel({ jobs }: { jobs: readonly Job[] }) {
  const t = useText(compareTexts)
  const [all, setAll] = useState(false)
  const found = useMemo(
    () => differences(jobs.map(({ kind, params, resources }) => ({ kind, params, resources }))),
    [jobs],
  )
  const rows = all ? found : found.filter(({ isSame }) => !isSame)
  return (
    <Panel
      title={t('specs')}
      actions={<Check label={t('showAll')} checked={all} onChange={({ target }) => setAll(target.checked)} />}
    >
      {rows.length === 0 ? (
        <p className="px-4 py-4 text-[13px] text-muted">{t('same')}</p>
      ) : (
        <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t('specs')}>
          <table className="w-full border-collapse text-[13px]">
            <thead>
              <tr className="border-b border-line text-xs text-muted">
                <th scope="col" className="h-9 px-4 text-left font-medium">
                  {t('field')}
                </th>
                {jobs.map(({ id, name }) => (
                  <th key={id} scope="col" className="px-3 text-left font-medium last:pr-4">
                    {name ?? id}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ path, values, isSame }) => (
                <tr key={path} className="border-b border-line last:border-0">
                  <th scope="row" className="px-4 py-1.5 text-left font-normal text-muted">
                    <code className="text-xs">{path}</code>
                  </th>
                  {values.map((value, at) => (
                    <td key={at} className={`px-3 py-1.5 last:pr-4 ${isSame ? 'text-muted' : ''}`}>
                      {value === null ? (
                        '–'
                      ) : (
                        <code className="text-xs break-words">{value.slice(0, mostText)}</code>
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  )
}
