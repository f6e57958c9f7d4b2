import TriangleAlert from 'lucide-react/icons/triangle-alert'
import type { Warning } from '../api/results.ts'
import { useText } from '../text/language.tsx'
import { results } from '../text/results.ts'

/** What the program says that a reader must know, in its own words. */
export function Warnings({ warnings }: { warnings: readonly Warning[] | undefined }) {
  const t = useText(results)
  if (warnings === undefined || warnings.length === 0) return null
  return (
    <section aria-label={t('warnings')} className="rounded-lg border border-line bg-warn-wash px-4 py-3">
      <h2 className="flex items-center gap-2 text-[13px] font-semibold text-warn">
        <TriangleAlert className="size-4 shrink-0" aria-hidden />
        {t('warnings')}
      </h2>
      <ul className="mt-1.5 flex flex-col gap-1 text-[13px]">
        {warnings.map(({ code, message }) => (
          <li key={code} className="break-words">
            {sentence(message)} <code className="text-xs whitespace-nowrap text-muted">{code}</code>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** A name such as `sample:sp500-20` stays as it is. */
const sentence = (message: string) =>
  `${message.replace(/^[a-z]+(?=[\s,])/, (word) => word.charAt(0).toUpperCase() + word.slice(1))}.`
