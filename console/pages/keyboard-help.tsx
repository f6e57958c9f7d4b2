import { nav } from '../parts/nav.ts'
import { common } from '../text/common.ts'
import { useText } from '../text/language.tsx'
import { shell } from '../text/shell.ts'
import { Dialog } from '../ui/dialog.tsx'

export function KeyboardHelp({ onClose }: { onClose: () => void }) {
  const t = useText(shell)
  const c = useText(common)
  const own = [
    ['⌘K / Ctrl K', t('keyPalette')],
    ['?', t('keyHelp')],
    ['c', t('newJob')],
    ['t', t('keyTheme')],
    ['/', t('keySearch')],
    ['j  k', t('keyMove')],
    ['Enter', t('keyOpen')],
    ['x', t('keySelect')],
    ['n  N', t('keyMatch')],
  ] as const
  const jumps = nav
    .flatMap(({ places }) => places)
    .flatMap(({ key, text }) => (key === undefined ? [] : [[`g ${key}`, t(text)] as const]))
  return (
    <Dialog open onClose={onClose} title={t('keyboard')} close_label={c('close')} wide>
      <dl className="grid gap-x-8 gap-y-1 sm:grid-cols-2">
        {[...own, ...jumps].map(([keys, text]) => (
          <div key={keys} className="flex items-center justify-between gap-4 py-0.5">
            <dt>{text}</dt>
            <dd>
              <kbd className="rounded border border-line-strong bg-sunken px-1.5 py-0.5 font-mono text-xs whitespace-pre">
                {keys}
              </kbd>
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
