import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { specQuery } from '../../api/job.ts'
import type { JobBody } from '../../api/types.ts'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { UploadButton } from '../../parts/upload.tsx'
import { newTexts } from '../../text/new.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { inputClass } from '../../ui/field.tsx'
import { faultOf, JsonEditor } from '../../ui/json-editor.tsx'
import { Page } from '../../ui/page.tsx'
import { isObject, type Value, withField } from '../../ui/schema.ts'
import { EstimatePanel } from './estimate-panel.tsx'
import { SpecForm } from './spec-form.tsx'
import { templates } from './templates.ts'
import { useEstimate } from './use-estimate.ts'

export function NewJobPage() {
  const { from, template } = useSearch({ from: '/new' })
  const query = useQuery({ ...specQuery(useApi(), from ?? ''), enabled: from !== undefined })
  const chosen = templates.find(({ id }) => id === template) ?? templates[0]
  if (from === undefined)
    return <Editor key={template} initial={chosen?.spec ?? {}} template={chosen?.id ?? ''} />
  return <Asked query={query}>{(spec) => <Editor key={from} initial={asked(spec)} template="" />}</Asked>
}

/** What was asked for, without the defaults that say nothing. */
function asked(spec: Value): Value {
  return Object.fromEntries(
    Object.entries(spec).filter(
      ([, value]) => value !== null && !(isObject(value) && Object.keys(value).length === 0),
    ),
  )
}

/** Lists of plain values stand on one line. A newline is never within a text: JSON escapes it there. */
const written = (spec: Value) =>
  JSON.stringify(spec, null, 2).replaceAll(
    /\[\n\s*([^[\]{}]*?)\n\s*\]/g,
    (_, inner: string) => `[${inner.replaceAll(/\n\s*/g, ' ')}]`,
  )

function Editor({ initial, template }: { initial: Value; template: string }) {
  const t = useText(newTexts)
  const mayNot = useWhyNot('member')
  const [text, setText] = useState(() => written(initial))
  const [spec, setSpec] = useState(initial)
  const fault = faultOf(text)
  const edit = (next: string) => {
    setText(next)
    if (faultOf(next) !== null) return
    const parsed: unknown = JSON.parse(next)
    if (isObject(parsed)) setSpec(parsed)
  }
  const set = (path: readonly string[], field: unknown) => {
    const next = withField(spec, path, field)
    setSpec(next)
    setText(written(next))
  }
  const estimate = useEstimate(spec, fault === null && mayNot === null)
  const submit = useSubmit()
  const why_not = mayNot ?? (fault === null ? null : t('notJson', { ...fault }))
  return (
    <Page
      title={t('title')}
      actions={
        <>
          <Templates chosen={template} />
          <UploadButton onReady={(id) => set(['params', 'data', 'dataset'], id)} />
          <Button
            look="primary"
            why_not={why_not}
            busy={submit.isPending}
            onClick={() => submit.mutate(spec)}
          >
            {t('submit')}
          </Button>
        </>
      }
    >
      <div className="grid min-h-0 flex-1 gap-4 px-4 pb-4 lg:grid-cols-2">
        <section aria-label={t('form')} className="min-w-0 lg:min-h-0 lg:overflow-y-auto lg:pr-1">
          <SpecForm spec={spec} errors={estimate.errors} onChange={set} />
        </section>
        <section aria-label={t('json')} className="flex min-h-0 min-w-0 flex-col gap-3">
          <JsonEditor label={t('json')} text={text} onChange={edit} fault={fault} />
          {fault === null ? null : (
            <p role="alert" className="text-[13px] text-bad">
              {t('notJson', { ...fault })}
            </p>
          )}
          <EstimatePanel estimate={estimate} />
        </section>
      </div>
    </Page>
  )
}

function Templates({ chosen }: { chosen: string }) {
  const t = useText(newTexts)
  const language = useLanguage()
  const navigate = useNavigate()
  return (
    <select
      aria-label={t('templates')}
      className={`${inputClass} w-72!`}
      value={chosen}
      onChange={({ target }) => void navigate({ to: '/new', search: { template: target.value } })}
    >
      {chosen === '' ? <option value="">{t('templates')}</option> : null}
      {templates.map(({ id, label }) => (
        <option key={id} value={id}>
          {label[language === 'en' ? 0 : 1]}
        </option>
      ))}
    </select>
  )
}

/** The same press twice makes one job: the key is of this page until the job is there. */
function useSubmit() {
  const { routes } = useApi()
  const t = useText(newTexts)
  const navigate = useNavigate()
  const [keys] = useState(() => new Map<string, string>())
  return useOrder(
    (spec: Value) => {
      const text = JSON.stringify(spec)
      const key = keys.get(text) ?? newKey()
      keys.set(text, key)
      return answered(
        routes.v1.jobs.$post({ json: spec as JobBody, query: {}, header: { 'idempotency-key': key } }),
      )
    },
    {
      changes: [['jobs'], ['overview']],
      told: t('submitted'),
      onDone: ({ id }) => {
        keys.clear()
        void navigate({ to: '/jobs/$id', params: { id } })
      },
    },
  )
}

/** randomUUID() is there in secure contexts alone, and a server in a private network may have no certificate. */
const newKey = () =>
  `console-${[...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
