import { useState } from 'react'
import { common } from '../text/common.ts'
import { useText } from '../text/language.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogActions } from '../ui/dialog.tsx'

interface ConfirmProps {
  label: string
  title: string
  about: string
  why_not?: string | null
  busy?: boolean
  danger?: boolean
  onConfirm: () => void
}

/** A button that asks once more. */
export function Confirm({
  label,
  title,
  about,
  why_not = null,
  busy = false,
  danger = true,
  onConfirm,
}: ConfirmProps) {
  const c = useText(common)
  const [isOpen, setOpen] = useState(false)
  return (
    <>
      <Button
        small
        look={danger ? 'danger' : 'plain'}
        why_not={why_not}
        busy={busy}
        onClick={() => setOpen(true)}
      >
        {label}
      </Button>
      <Dialog
        open={isOpen}
        onClose={() => setOpen(false)}
        title={title}
        about={about}
        close_label={c('close')}
      >
        <DialogActions>
          <Button onClick={() => setOpen(false)}>{c('cancel')}</Button>
          <Button
            look={danger ? 'danger' : 'primary'}
            onClick={() => {
              setOpen(false)
              onConfirm()
            }}
          >
            {label}
          </Button>
        </DialogActions>
      </Dialog>
    </>
  )
}
