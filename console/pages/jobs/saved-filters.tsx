import { useNavigate } from '@tanstack/react-router'
import Bookmark from 'lucide-react/icons/bookmark'
import { type SubmitEvent, useState } from 'react'
import type { JobFilters } from '../../api/jobs.ts'
import { common } from '../../text/common.ts'
import { jobsTexts } from '../../text/jobs.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { Field, Input } from '../../ui/field.tsx'
import { jobsSearch } from './search.ts'

const name = 'berth.filters'
/** More are not found again by their names. */
const maxSaved = 30

type Saved = Record<string, JobFilters>

function read(): Saved {
  try {
    const kept = JSON.parse(localStorage.getItem(name) ?? '{}') as Record<string, Record<string, unknown>>
    return Object.fromEntries(Object.entries(kept).map(([key, filters]) => [key, jobsSearch(filters)]))
  } catch {
    return {}
  }
}

export function SavedFilters({ filters }: { filters: JobFilters }) {
  const t = useText(jobsTexts)
  const c = useText(common)
  const navigate = useNavigate()
  const [saved, setSaved] = useState(read)
  const [isOpen, setOpen] = useState(false)
  const [title, setTitle] = useState('')
  const keep = (next: Saved) => {
    localStorage.setItem(name, JSON.stringify(next))
    setSaved(next)
  }
  const add = (event: SubmitEvent) => {
    event.preventDefault()
    if (title.trim() === '') return
    keep(Object.fromEntries(Object.entries({ ...saved, [title.trim()]: filters }).slice(-maxSaved)))
    setTitle('')
    setOpen(false)
  }
  return (
    <>
      <Button look="quiet" icon={<Bookmark className="size-4" aria-hidden />} onClick={() => setOpen(true)}>
        {t('savedFilters')}
      </Button>
      <Dialog open={isOpen} onClose={() => setOpen(false)} title={t('savedFilters')} close_label={c('close')}>
        {Object.keys(saved).length === 0 ? <p className="text-muted">{t('noSaved')}</p> : null}
        <ul className="flex flex-col gap-1">
          {Object.entries(saved).map(([key, kept]) => (
            <li key={key} className="flex items-center gap-2">
              <Button
                look="quiet"
                className="min-w-0 flex-1 justify-start!"
                onClick={() => {
                  setOpen(false)
                  void navigate({ to: '/jobs', search: kept })
                }}
              >
                <span className="truncate">{key}</span>
                <span className="truncate text-xs text-muted">{Object.values(kept).join(' · ')}</span>
              </Button>
              <Button
                look="danger"
                small
                onClick={() =>
                  keep(Object.fromEntries(Object.entries(saved).filter(([other]) => other !== key)))
                }
              >
                {c('remove')}
              </Button>
            </li>
          ))}
        </ul>
        {Object.keys(filters).length > 0 ? (
          <form onSubmit={add}>
            <Field label={t('saveAs')} className="mt-4">
              <Input value={title} maxLength={60} onChange={({ target }) => setTitle(target.value)} />
            </Field>
            <DialogActions>
              <Button look="primary" type="submit">
                {t('saveFilters')}
              </Button>
            </DialogActions>
          </form>
        ) : null}
      </Dialog>
    </>
  )
}
