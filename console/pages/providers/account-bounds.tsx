import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { limitsQuery } from '../../api/providers.ts'
import type { ProviderAccount } from '../../api/types.ts'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { providerTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { listOf } from '../../ui/schema.ts'

/** How much may run at an account, and where. */
export function AccountBounds({ account }: { account: ProviderAccount }) {
  const t = useText(providerTexts)
  const query = useQuery(limitsQuery(useApi()))
  const key = `${account.provider}/${account.account}`
  return (
    <Panel title={t('limits')}>
      <Asked query={query} rows={2}>
        {({ items }) => {
          const known = items.find((limit) => limit.scope === 'account' && limit.key === key)
          return <BoundsForm key={`${known?.max_running}`} account={account} known={known ?? null} />
        }}
      </Asked>
    </Panel>
  )
}

function BoundsForm({
  account,
  known,
}: {
  account: ProviderAccount
  known: { id: string | null; max_running: number } | null
}) {
  const t = useText(providerTexts)
  const c = useText(common)
  const mayNot = useWhyNot('operator')
  const { routes } = useApi()
  const [most, setMost] = useState(known === null ? '' : String(known.max_running))
  const [regions, setRegions] = useState(account.regions?.join(', ') ?? '')
  const save = useOrder(
    async () => {
      const key = `${account.provider}/${account.account}`
      if (most !== '')
        await answered(routes.v1.limits.$put({ json: { scope: 'account', key, max_running: Number(most) } }))
      else if (known !== null && known.id !== null)
        await routes.v1.limits[':id'].$delete({ param: { id: known.id } })
      if (account.id !== null && regions !== (account.regions?.join(', ') ?? ''))
        await answered(
          routes.v1['provider-accounts'][':id'].$patch({
            param: { id: account.id },
            json: { regions: listOf(regions) },
          }),
        )
    },
    { changes: [['limits'], ['accounts'], ['offers']], told: c('saved') },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    save.mutate(undefined)
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-3 p-4">
      <Field label={t('limits')} hint={t('limitHint')}>
        <Input
          type="number"
          min={0}
          value={most}
          placeholder={t('noLimit')}
          onChange={({ target }) => setMost(target.value)}
        />
      </Field>
      <Field label={t('regions')} hint={account.id === null ? t('fixedHint') : t('regionsHint')}>
        <Input
          value={regions}
          disabled={account.id === null}
          placeholder={t('allRegions')}
          onChange={({ target }) => setRegions(target.value)}
        />
      </Field>
      <div>
        <Button type="submit" why_not={mayNot} busy={save.isPending}>
          {c('save')}
        </Button>
      </div>
    </form>
  )
}
