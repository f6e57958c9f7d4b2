import { may, type Right, useMe } from '../api/me.ts'
import { common } from '../text/common.ts'
import { useText } from '../text/language.tsx'

/** Why the person may not do what needs a right; null: they may. */
export function useWhyNot(right: Right): string | null {
  const t = useText(common)
  const me = useMe()
  if (may(me, right)) return null
  if (right === 'operator') return t('needsOperator')
  return right === 'admin' ? t('needsAdmin') : t('needsMember')
}
