import { type SubmitEvent, useState } from 'react'
import { eventTypes } from '../../../jobs/state.ts'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { asProblem } from '../../api/problem.ts'
import { useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { webhookTexts } from '../../text/project.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { Check, Field, Input } from '../../ui/field.tsx'

type Events = ReadonlySet<(typeof eventTypes)[number]>

export function AddWebhook({ onMade }: { onMade: (secret: string) => void }) {
  const t = useText(webhookTexts)
  const c = useText(common)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const [isOpen, setOpen] = useState(false)
  const [url, setUrl] = useState('https://')
  const [description, setDescription] = useState('')
  const [events, setEvents] = useState<Events>(new Set())
  const add = useOrder(
    () =>
      answered(
        routes.v1.webhooks.$post({
          header: {},
          json: { url, description, events: events.size === 0 ? null : [...events] },
        }),
      ),
    {
      changes: [['webhooks']],
      onDone: ({ secret }) => {
        setOpen(false)
        onMade(secret)
      },
    },
  )
  const wrong = add.error === null ? null : asProblem(add.error)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    add.mutate(undefined)
  }
  return (
    <>
      <Button look="primary" why_not={mayNot} onClick={() => setOpen(true)}>
        {t('add')}
      </Button>
      <Dialog open={isOpen} onClose={() => setOpen(false)} title={t('add')} close_label={c('close')}>
        <form onSubmit={submit} className="flex flex-col gap-3">
          <Field
            label={t('url')}
            error={wrong?.errors.find(({ path }) => path === 'url')?.message ?? wrong?.message}
          >
            <Input type="url" required value={url} onChange={({ target }) => setUrl(target.value)} />
          </Field>
          <Field label={t('description')}>
            <Input
              maxLength={500}
              value={description}
              onChange={({ target }) => setDescription(target.value)}
            />
          </Field>
          <EventChoice events={events} onChange={setEvents} />
          <DialogActions>
            <Button look="primary" type="submit" busy={add.isPending}>
              {t('add')}
            </Button>
          </DialogActions>
        </form>
      </Dialog>
    </>
  )
}

function EventChoice({ events, onChange }: { events: Events; onChange: (events: Events) => void }) {
  const t = useText(webhookTexts)
  return (
    <fieldset>
      <legend className="text-[13px] font-medium">{t('events')}</legend>
      <p className="text-xs text-muted">{t('eventsHint')}</p>
      <div className="mt-1 grid grid-cols-1 gap-x-4 sm:grid-cols-2">
        {eventTypes.map((type) => (
          <Check
            key={type}
            label={<span className="font-mono text-xs">{type}</span>}
            checked={events.has(type)}
            onChange={({ target }) => {
              const next = new Set(events)
              if (target.checked) next.add(type)
              else next.delete(type)
              onChange(next)
            }}
          />
        ))}
      </div>
    </fieldset>
  )
}
