import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { specQuery } from '../../api/job.ts'
import type { Job } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { specTexts } from '../../text/job.ts'
import { useText } from '../../text/language.tsx'
import { CopyText } from '../../ui/copy.tsx'

export function SpecTab({ job }: { job: Job }) {
  const t = useText(specTexts)
  const c = useText(common)
  const query = useQuery(specQuery(useApi(), job.id))
  return (
    <Asked query={query}>
      {(spec) => {
        const text = JSON.stringify(spec, null, 2)
        return (
          <div className="flex min-h-0 flex-1 flex-col">
            <div className="flex items-center justify-between px-4 py-2 text-[13px] text-muted">
              {t('about')}
              <CopyText text={text} shown={c('copy')} label={c('copy')} />
            </div>
            <pre className="min-h-0 flex-1 overflow-auto px-4 pb-4 font-mono text-xs" tabIndex={0}>
              {text}
            </pre>
          </div>
        )
      }}
    </Asked>
  )
}
