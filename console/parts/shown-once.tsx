import { CopyText } from '../ui/copy.tsx'
import { common } from '../text/common.ts'
import { useText } from '../text/language.tsx'
import { Dialog } from '../ui/dialog.tsx'

/** A secret that is shown this once; it goes with the dialog. */
export function ShownOnce({
  secret,
  title,
  onClose,
}: {
  secret: string | null
  title: string
  onClose: () => void
}) {
  const c = useText(common)
  return (
    <Dialog open={secret !== null} onClose={onClose} title={title} close_label={c('close')}>
      <p className="rounded-md border border-line bg-sunken p-3 break-all">
        <CopyText text={secret ?? ''} label={c('copy')} />
      </p>
    </Dialog>
  )
}
