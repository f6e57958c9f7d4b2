import { Link, useNavigate } from '@tanstack/react-router'
import RotateCw from 'lucide-react/icons/rotate-cw'
import { useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import type { Job } from '../../api/types.ts'
import { useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { jobTexts } from '../../text/job.ts'
import { useText } from '../../text/language.tsx'
import { Button, buttonClass } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'

type Order = 'stop' | 'cancel' | 'remove'

export function JobActions({ job }: { job: Job }) {
  const t = useText(jobTexts)
  const c = useText(common)
  const mayNot = useWhyNot('member')
  const [asks, ask] = useState<Order | null>(null)
  const { id } = job
  const isOver = job.finished_at !== null
  const atWork = mayNot ?? (isOver ? t('isOver') : job.state === 'cancelling' ? t('ordered') : null)
  const order = useJobOrder(id, () => ask(null))
  const about = { stop: t('stopAbout'), cancel: t('cancelAbout'), remove: t('removeAbout') }
  return (
    <>
      {mayNot === null ? (
        <Link to="/new" search={{ from: id }} className={buttonClass()}>
          <RotateCw className="size-4" aria-hidden />
          {t('again')}
        </Link>
      ) : (
        <Button why_not={mayNot} icon={<RotateCw className="size-4" aria-hidden />}>
          {t('again')}
        </Button>
      )}
      {isOver ? (
        <Button look="danger" why_not={mayNot} onClick={() => ask('remove')}>
          {t('remove')}
        </Button>
      ) : (
        <>
          <Button why_not={atWork} onClick={() => ask('stop')}>
            {t('stop')}
          </Button>
          <Button look="danger" why_not={atWork} onClick={() => ask('cancel')}>
            {t('cancel')}
          </Button>
        </>
      )}
      <Dialog
        open={asks !== null}
        onClose={() => ask(null)}
        title={`${t(asks ?? 'stop')}: ${job.name ?? id}`}
        about={about[asks ?? 'stop']}
        close_label={c('close')}
      >
        <DialogActions>
          <Button onClick={() => ask(null)}>{t('keep')}</Button>
          <Button
            look={asks === 'stop' ? 'primary' : 'danger'}
            busy={order.isPending}
            onClick={() => asks && order.mutate(asks)}
          >
            {t(asks ?? 'stop')}
          </Button>
        </DialogActions>
      </Dialog>
    </>
  )
}

function useJobOrder(id: string, onDone: () => void) {
  const { routes } = useApi()
  const navigate = useNavigate()
  const t = useText(jobTexts)
  const of = routes.v1.jobs[':id']
  return useOrder(
    async (order: Order) => {
      const param = { id }
      if (order === 'stop') await answered(of.stop.$post({ param }))
      else if (order === 'cancel') await answered(of.cancel.$post({ param }))
      else await of.$delete({ param })
      return order
    },
    {
      changes: [['job', id], ['jobs']],
      told: t('ordered'),
      onDone: (order) => {
        onDone()
        if (order === 'remove') void navigate({ to: '/jobs' })
      },
    },
  )
}
