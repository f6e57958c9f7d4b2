import { exactMoney, money } from '../text/format.ts'
import { useLanguage } from '../text/language.tsx'

/** USD; every decimal when pointed at. */
export function Money({ usd, about = false }: { usd: number; about?: boolean }) {
  const language = useLanguage()
  return (
    <span className="tnum whitespace-nowrap" title={exactMoney(usd)}>
      {about ? '≈ ' : ''}
      {money(usd, language)}
    </span>
  )
}
