import { Link } from '@tanstack/react-router'
import { asProblem } from '../api/problem.ts'
import { useText } from '../text/language.tsx'
import { shell } from '../text/shell.ts'
import { buttonClass } from '../ui/button.tsx'
import { Empty, Failure } from '../ui/states.tsx'

export function NotFound() {
  const t = useText(shell)
  return (
    <Empty
      alone
      title={t('notFound')}
      action={
        <Link to="/jobs" className={buttonClass()}>
          {t('toJobs')}
        </Link>
      }
    >
      {t('notFoundHint')}
    </Empty>
  )
}

export function Broken({ error }: { error: unknown }) {
  const t = useText(shell)
  return (
    <Failure
      title={t('broken')}
      detail={asProblem(error).message}
      retry={{ label: t('reload'), onRetry: () => location.reload() }}
    />
  )
}
