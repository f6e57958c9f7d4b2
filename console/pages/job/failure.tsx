import type { Job } from '../../api/types.ts'
import { jobTexts } from '../../text/job.ts'
import { useText } from '../../text/language.tsx'

/** What went wrong, what to do, and what the program is unsure of. */
export function JobFailure({ job: { error, warnings } }: { job: Job }) {
  const t = useText(jobTexts)
  if (error === null && warnings.length === 0) return null
  return (
    <div className="flex flex-col gap-2 px-4 pb-3">
      {error === null ? null : (
        <section className="rounded-md border border-line bg-bad-wash px-3 py-2">
          <h2 className="text-[13px] font-semibold text-bad">{t('failedWith', { code: error.code })}</h2>
          <p className="break-words">{error.message}</p>
          {error.hint === null ? null : (
            <p className="mt-1 text-[13px]">
              {t('whatToDo')}: {error.hint}
            </p>
          )}
          {error.log_tail === null ? null : (
            <details className="mt-1 text-[13px]">
              <summary className="cursor-pointer text-muted">{t('lastWords')}</summary>
              <pre className="mt-1 max-h-60 overflow-auto font-mono text-xs whitespace-pre-wrap" tabIndex={0}>
                {error.log_tail}
              </pre>
            </details>
          )}
        </section>
      )}
      {warnings.length === 0 ? null : (
        <details
          className="rounded-md border border-line bg-warn-wash px-3 py-2 text-[13px]"
          open={warnings.length <= 2}
        >
          <summary className="cursor-pointer font-semibold text-warn">
            {t('warnings')} ({warnings.length})
          </summary>
          <ul className="mt-1 list-disc pl-5">
            {warnings.map(({ code, message }) => (
              <li key={code + message}>{message}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  )
}
