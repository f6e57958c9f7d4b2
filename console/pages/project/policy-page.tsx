import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { policyQuery, projectQuery } from '../../api/project.ts'
import type { Policy, Project } from '../../api/types.ts'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { policyTexts } from '../../text/project.ts'
import { shell } from '../../text/shell.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input, Select } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { listOf } from '../../ui/schema.ts'

export function PolicyPage() {
  const t = useText(policyTexts)
  const s = useText(shell)
  const api = useApi()
  const policy = useQuery(policyQuery(api))
  const project = useQuery(projectQuery(api))
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex max-w-3xl flex-col gap-4 px-4 pb-6">
        <Panel title={t('title')}>
          <Asked query={policy}>{(found) => <PolicyForm key={JSON.stringify(found)} policy={found} />}</Asked>
        </Panel>
        <Panel title={s('project')}>
          <Asked query={project} rows={2}>
            {(found) => <ProjectForm key={JSON.stringify(found)} project={found} />}
          </Asked>
        </Panel>
      </div>
    </Page>
  )
}

const lists = ['providers', 'regions', 'images'] as const
const spots = ['never', 'allow', 'only'] as const

function PolicyForm({ policy }: { policy: Policy }) {
  const t = useText(policyTexts)
  const c = useText(common)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const [typed, setTyped] = useState<Record<(typeof lists)[number], string>>({
    providers: policy.providers?.join(', ') ?? '',
    regions: policy.regions?.join(', ') ?? '',
    images: policy.images?.join(', ') ?? '',
  })
  const [spot, setSpot] = useState<string>(policy.spot ?? '')
  const [price, setPrice] = useState(
    policy.max_usd_per_hour === undefined ? '' : String(policy.max_usd_per_hour),
  )
  const put = useOrder(() => answered(routes.v1.policy.$put({ json: policyOf(typed, spot, price) })), {
    changes: [['policy']],
    told: c('saved'),
  })
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    put.mutate(undefined)
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-3 p-4">
      {lists.map((name) => (
        <Field key={name} label={t(name)} hint={t('list')}>
          <Input
            value={typed[name]}
            placeholder={t('any')}
            onChange={({ target }) => setTyped({ ...typed, [name]: target.value })}
          />
        </Field>
      ))}
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={t('spot')}>
          <Select value={spot} onChange={({ target }) => setSpot(target.value)}>
            <option value="">{t('any')}</option>
            {spots.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </Select>
        </Field>
        <Field label={t('price')}>
          <Input
            type="number"
            step="any"
            min={0}
            value={price}
            placeholder={t('any')}
            onChange={({ target }) => setPrice(target.value)}
          />
        </Field>
      </div>
      <div>
        <Button type="submit" look="primary" why_not={mayNot} busy={put.isPending}>
          {c('save')}
        </Button>
      </div>
    </form>
  )
}

/** What is left empty is not bounded. */
function policyOf(typed: Record<(typeof lists)[number], string>, spot: string, price: string): Policy {
  const named = lists.flatMap((name) => {
    const parts = listOf(typed[name])
    return parts === null ? [] : [[name, parts] as const]
  })
  const chosen = spots.find((each) => each === spot)
  return {
    ...Object.fromEntries(named),
    ...(chosen === undefined ? {} : { spot: chosen }),
    ...(price === '' ? {} : { max_usd_per_hour: Number(price) }),
  }
}

function ProjectForm({ project }: { project: Project }) {
  const t = useText(policyTexts)
  const c = useText(common)
  const mayNot = useWhyNot('admin')
  const noWeight = useWhyNot('operator')
  const { routes } = useApi()
  const [name, setName] = useState(project.name)
  const [weight, setWeight] = useState(String(project.weight))
  const patch = useOrder(
    () => {
      const json = { name, ...(Number(weight) === project.weight ? {} : { weight: Number(weight) }) }
      return answered(routes.v1.project.$patch({ json }))
    },
    { changes: [['project'], ['me']], told: c('saved') },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    patch.mutate(undefined)
  }
  return (
    <form onSubmit={submit} className="grid items-start gap-3 p-4 sm:grid-cols-[minmax(0,1fr)_10rem_auto]">
      <Field label={t('projectName')}>
        <Input required value={name} onChange={({ target }) => setName(target.value)} />
      </Field>
      <Field label={t('weight')} hint={noWeight ?? t('weightHint')}>
        <Input
          type="number"
          step="any"
          disabled={noWeight !== null}
          value={weight}
          onChange={({ target }) => setWeight(target.value)}
        />
      </Field>
      <div className="pt-6">
        <Button type="submit" why_not={mayNot} busy={patch.isPending}>
          {c('save')}
        </Button>
      </div>
    </form>
  )
}
