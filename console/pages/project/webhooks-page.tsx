import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { webhookDeliveriesQuery, webhooksQuery } from '../../api/project.ts'
import type { Webhook } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { DeliveryTable } from '../../parts/deliveries.tsx'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { ShownOnce } from '../../parts/shown-once.tsx'
import { common } from '../../text/common.ts'
import { webhookTexts } from '../../text/project.ts'
import { useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { useToast } from '../../ui/toast.tsx'
import { AddWebhook } from './add-webhook.tsx'

export function WebhooksPage() {
  const t = useText(webhookTexts)
  const query = useQuery(webhooksQuery(useApi()))
  const [secret, setSecret] = useState<string | null>(null)
  return (
    <Page title={t('title')} about={t('about')} actions={<AddWebhook onMade={setSecret} />}>
      <Asked query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={t('none')}>{t('noneHint')}</Empty>
          ) : (
            <div className="flex flex-col gap-4 px-4 pb-6">
              {items.map((webhook) => (
                <Endpoint key={webhook.id} webhook={webhook} onSecret={setSecret} />
              ))}
            </div>
          )
        }
      </Asked>
      <ShownOnce secret={secret} title={t('secretShown')} onClose={() => setSecret(null)} />
    </Page>
  )
}

function Endpoint({ webhook, onSecret }: { webhook: Webhook; onSecret: (secret: string) => void }) {
  const t = useText(webhookTexts)
  const [isOpen, setOpen] = useState(false)
  const { url, description, events, state, disabled_reason, failures } = webhook
  return (
    <Panel
      title={
        <span className="flex min-w-0 flex-wrap items-center gap-2">
          <span className="min-w-0 truncate font-mono text-xs">{url}</span>
          <Badge tone={state === 'enabled' ? 'good' : 'idle'}>
            {t(state)} {disabled_reason ?? ''}
          </Badge>
          {failures > 0 ? (
            <Badge tone="bad">
              {failures} {t('failures')}
            </Badge>
          ) : null}
        </span>
      }
      actions={<EndpointActions webhook={webhook} onSecret={onSecret} />}
    >
      <p className="px-4 py-2 text-[13px] text-muted">
        {[description, events === null ? t('all') : events.join(', ')].filter(Boolean).join(' · ')}
      </p>
      <details
        open={isOpen}
        onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
        className="border-t border-line"
      >
        <summary className="cursor-pointer px-4 py-2 text-[13px]">{t('deliveries')}</summary>
        {isOpen ? <Deliveries id={webhook.id} /> : null}
      </details>
    </Panel>
  )
}

function Deliveries({ id }: { id: string }) {
  const t = useText(webhookTexts)
  const query = useQuery(webhookDeliveriesQuery(useApi(), id))
  return (
    <Asked query={query} rows={3}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="px-4 pb-3 text-muted">{t('noDeliveries')}</p>
        ) : (
          <DeliveryTable deliveries={items} />
        )
      }
    </Asked>
  )
}

function EndpointActions({
  webhook: { id, url, state },
  onSecret,
}: {
  webhook: Webhook
  onSecret: (secret: string) => void
}) {
  const t = useText(webhookTexts)
  const c = useText(common)
  const toast = useToast()
  const mayNot = useWhyNot('admin')
  const one = useApi().routes.v1.webhooks[':id']
  const changes = [['webhooks'], ['deliveries', id]]
  const param = { id }
  const test = useOrder(() => answered(one.test.$post({ param })), {
    changes,
    onDone: ({ last_attempt }) =>
      typeof last_attempt?.status === 'number' && last_attempt.status < 300
        ? toast(t('testAnswered', { status: String(last_attempt.status) }))
        : toast(t('testFailed', { why: last_attempt?.error ?? String(last_attempt?.status ?? '') }), 'bad'),
  })
  const change = useOrder((enabled: boolean) => answered(one.$patch({ param, json: { enabled } })), {
    changes,
  })
  const rotate = useOrder(() => answered(one.rotate.$post({ param, json: {} })), {
    changes,
    onDone: ({ secret }) => onSecret(secret),
  })
  const remove = useOrder(() => one.$delete({ param }), { changes, told: t('removed') })
  return (
    <span className="flex flex-wrap gap-1">
      <Button small busy={test.isPending} onClick={() => test.mutate(undefined)}>
        {t('test')}
      </Button>
      <Button small why_not={mayNot} onClick={() => change.mutate(state !== 'enabled')}>
        {state === 'enabled' ? t('disable') : t('enable')}
      </Button>
      <Button small why_not={mayNot} onClick={() => rotate.mutate(undefined)}>
        {t('rotate')}
      </Button>
      <Confirm
        label={c('remove')}
        title={`${c('remove')}: ${url}`}
        about={t('removeAbout')}
        why_not={mayNot}
        onConfirm={() => remove.mutate(undefined)}
      />
    </span>
  )
}
