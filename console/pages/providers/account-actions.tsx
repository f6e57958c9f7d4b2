import { useNavigate } from '@tanstack/react-router'
import MoreHorizontal from 'lucide-react/icons/ellipsis'
import { useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import type { ProviderAccount } from '../../api/types.ts'
import { useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { providerTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { Menu } from '../../ui/menu.tsx'
import { useToast } from '../../ui/toast.tsx'

type Asked = 'drain' | 'disable' | 'remove'

export function AccountActions({ account }: { account: ProviderAccount }) {
  const t = useText(providerTexts)
  const c = useText(common)
  const [asks, ask] = useState<Asked | null>(null)
  const mayNot = useWhyNot('operator')
  const why_not = mayNot ?? (account.id === null ? t('fixedHint') : null)
  const { test, change, remove } = useAccountOrders(account, () => ask(null))
  const { enabled, draining, running } = account
  const about = {
    drain: t('drainAbout'),
    disable: t('disableAbout', { n: running }),
    remove: t('removeAbout'),
  }
  const act = (asked: Asked) => {
    if (asked === 'remove') remove.mutate(undefined)
    else change.mutate(asked === 'drain' ? { draining: true } : { enabled: false, force: true })
  }
  return (
    <span className="inline-flex items-center gap-1">
      <Button small busy={test.isPending} why_not={why_not} onClick={() => test.mutate(undefined)}>
        {t('test')}
      </Button>
      <Menu
        trigger={
          <Button small look="quiet" aria-label={c('more')}>
            <MoreHorizontal className="size-4" aria-hidden />
          </Button>
        }
        items={[
          draining
            ? {
                id: 'undrain',
                label: t('undrain'),
                why_not,
                onSelect: () => change.mutate({ draining: false }),
              }
            : { id: 'drain', label: t('drain'), why_not, onSelect: () => ask('drain') },
          enabled
            ? { id: 'disable', label: t('disable'), why_not, danger: true, onSelect: () => ask('disable') }
            : { id: 'enable', label: t('enable'), why_not, onSelect: () => change.mutate({ enabled: true }) },
          { id: 'remove', label: t('remove'), danger: true, why_not, onSelect: () => ask('remove') },
        ]}
      />
      <Dialog
        open={asks !== null}
        onClose={() => ask(null)}
        title={`${t(asks ?? 'drain')}: ${account.provider} ${account.account}`}
        about={about[asks ?? 'drain']}
        close_label={c('close')}
      >
        <DialogActions>
          <Button onClick={() => ask(null)}>{c('cancel')}</Button>
          <Button
            look={asks === 'drain' ? 'primary' : 'danger'}
            busy={change.isPending || remove.isPending}
            onClick={() => asks && act(asks)}
          >
            {t(asks ?? 'drain')}
          </Button>
        </DialogActions>
      </Dialog>
    </span>
  )
}

function useAccountOrders({ id }: ProviderAccount, onDone: () => void) {
  const t = useText(providerTexts)
  const toast = useToast()
  const navigate = useNavigate()
  const { routes } = useApi()
  const one = routes.v1['provider-accounts'][':id']
  const param = { id: id ?? '' }
  const changes = [['accounts'], ['offers'], ['orphans']]
  const test = useOrder(() => answered(one.test.$post({ param })), {
    changes,
    onDone: ({ ok }) => (ok ? toast(t('tested')) : toast(t('testFailed'), 'bad')),
  })
  const change = useOrder(
    (json: { draining?: boolean; enabled?: boolean; force?: boolean }) =>
      answered(one.$patch({ param, json })),
    { changes, told: t('changed'), onDone },
  )
  const remove = useOrder(
    async () => {
      await one.$delete({ param })
    },
    {
      changes,
      told: t('removed'),
      onDone: () => {
        onDone()
        void navigate({ to: '/accounts' })
      },
    },
  )
  return { test, change, remove }
}
