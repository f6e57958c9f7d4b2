import { useNavigate } from '@tanstack/react-router'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { asProblem } from '../../api/problem.ts'
import { useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { guideTexts, providerTexts } from '../../text/providers.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { CopyText } from '../../ui/copy.tsx'
import { Field, Input, Select, Textarea } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { listOf } from '../../ui/schema.ts'
import { type Guide, type GuideField, guides } from './guides.ts'

export function AddAccountPage() {
  const t = useText(guideTexts)
  const [provider, setProvider] = useState(guides[0]?.provider ?? '')
  const guide = guides.find((each) => each.provider === provider)
  return (
    <Page title={t('title')}>
      <div className="grid max-w-6xl gap-4 px-4 pb-6 lg:grid-cols-2">
        <div className="flex min-w-0 flex-col gap-4">
          <Field label={t('choose')}>
            <Select value={provider} onChange={({ target }) => setProvider(target.value)}>
              {guides.map((each) => (
                <option key={each.provider} value={each.provider}>
                  {each.title}
                </option>
              ))}
            </Select>
          </Field>
          {guide === undefined ? null : <GuideForm key={provider} guide={guide} />}
        </div>
        {guide === undefined ? null : <Permissions guide={guide} />}
      </div>
    </Page>
  )
}

function Permissions({ guide: { policy, note, calls_back } }: { guide: Guide }) {
  const t = useText(guideTexts)
  const c = useText(common)
  const language = useLanguage()
  return (
    <Panel
      title={t('permissions')}
      actions={policy === null ? null : <CopyText text={policy.text} shown={c('copy')} label={c('copy')} />}
      className="self-start"
    >
      <div className="flex flex-col gap-2 px-4 py-3 text-[13px]">
        <p>{note[language === 'en' ? 0 : 1]}</p>
        {calls_back ? <p className="text-muted">{t('needsUrl')}</p> : null}
        {policy === null ? null : (
          <>
            <p className="text-muted">{t('permissionsAbout')}</p>
            <pre
              tabIndex={0}
              aria-label={policy.name}
              className="max-h-[60vh] overflow-auto rounded-md border border-line bg-sunken p-3 font-mono text-xs"
            >
              {policy.text}
            </pre>
          </>
        )}
      </div>
    </Panel>
  )
}

type Typed = Readonly<Record<string, string>>

function GuideForm({ guide }: { guide: Guide }) {
  const t = useText(guideTexts)
  const p = useText(providerTexts)
  const mayNot = useWhyNot('operator')
  const [account, setAccount] = useState('main')
  const [settings, setSettings] = useState<Typed>(() =>
    Object.fromEntries(
      guide.settings
        .filter(({ required, example }) => required && example)
        .map(({ name, example }) => [name, example ?? '']),
    ),
  )
  const [credentials, setCredentials] = useState<Typed>({})
  const [regions, setRegions] = useState('')
  const create = useCreate()
  const wrong = new Map(
    create.error ? asProblem(create.error).errors.map(({ path, message }) => [path, message]) : [],
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    create.mutate({
      provider: guide.provider,
      account,
      settings: valuesOf(guide.settings, settings),
      credentials: valuesOf(guide.credentials, credentials),
      regions: listOf(regions),
    })
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <Field label={t('name')} hint={t('nameHint')} error={wrong.get('account')}>
        <Input required value={account} onChange={({ target }) => setAccount(target.value)} />
      </Field>
      <Fields
        title={t('settings')}
        prefix="settings"
        fields={guide.settings}
        typed={settings}
        wrong={wrong}
        onType={(name, text) => setSettings({ ...settings, [name]: text })}
      />
      <Fields
        title={t('credentials')}
        prefix="credentials"
        about={t('credentialsAbout')}
        fields={guide.credentials}
        typed={credentials}
        wrong={wrong}
        onType={(name, text) => setCredentials({ ...credentials, [name]: text })}
      />
      <Field label={t('regions')} hint={p('regionsHint')} error={wrong.get('regions')}>
        <Input value={regions} onChange={({ target }) => setRegions(target.value)} />
      </Field>
      <div>
        <Button look="primary" type="submit" why_not={mayNot} busy={create.isPending}>
          {t('add')}
        </Button>
      </div>
    </form>
  )
}

interface FieldsProps {
  title: string
  about?: string
  prefix: string
  fields: readonly GuideField[]
  typed: Typed
  wrong: ReadonlyMap<string, string>
  onType: (name: string, text: string) => void
}

function Fields({ title, about, prefix, fields, typed, wrong, onType }: FieldsProps) {
  const t = useText(guideTexts)
  const language = useLanguage()
  if (fields.length === 0) return null
  return (
    <fieldset className="flex flex-col gap-3 rounded-md border border-line p-3">
      <legend className="px-1 text-[13px] font-semibold">{title}</legend>
      {about === undefined ? null : <p className="text-xs text-muted">{about}</p>}
      {fields.map(({ name, kind = 'text', hint, required, example }) => {
        const text = typed[name] ?? ''
        const why = hint[language === 'en' ? 0 : 1]
        const error = [...wrong].find(
          ([path]) => path === `${prefix}.${name}` || path.startsWith(`${prefix}.${name}.`),
        )
        const props = {
          value: text,
          required: required ?? false,
          placeholder: example ?? '',
          name: `${prefix}.${name}`,
        }
        return (
          <Field
            key={name}
            label={required ? `${name} *` : name}
            hint={[why, required ? '' : t('optional')].filter(Boolean).join(' · ')}
            error={error?.[1] ?? (kind === 'json' && !isJson(text) ? t('notJson') : null)}
          >
            {kind === 'json' || kind === 'file' ? (
              <Textarea
                {...props}
                rows={kind === 'file' ? 6 : 2}
                className="min-h-12!"
                onChange={({ target }) => onType(name, target.value)}
              />
            ) : (
              <Input
                {...props}
                type={kind === 'secret' ? 'password' : kind}
                step="any"
                autoComplete="new-password"
                onChange={({ target }) => onType(name, target.value)}
              />
            )}
          </Field>
        )
      })}
    </fieldset>
  )
}

function isJson(text: string): boolean {
  if (text.trim() === '') return true
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** What was typed, as the API takes it; what is no JSON is sent as it is, for the API to say so. */
function valuesOf(fields: readonly GuideField[], typed: Typed): Record<string, unknown> {
  return Object.fromEntries(
    fields.flatMap(({ name, kind }): [string, unknown][] => {
      const text = typed[name]?.trim() ?? ''
      if (text === '') return []
      if (kind === 'number') return [[name, Number(text)]]
      return [[name, kind === 'json' && isJson(text) ? JSON.parse(text) : text]]
    }),
  )
}

interface NewAccount {
  provider: string
  account: string
  settings: Record<string, unknown>
  credentials: Record<string, unknown>
  regions: string[] | null
}

function useCreate() {
  const t = useText(guideTexts)
  const { routes } = useApi()
  const navigate = useNavigate()
  const accounts = routes.v1['provider-accounts']
  return useOrder(
    async (json: NewAccount) => {
      const made = await answered(accounts.$post({ json }))
      // What the test saw stands on the page that follows, whatever it was.
      if (made.id !== null)
        await answered(accounts[':id'].test.$post({ param: { id: made.id } })).catch(() => undefined)
      return made
    },
    {
      changes: [['accounts'], ['offers']],
      told: t('added'),
      onDone: ({ provider, account }) =>
        void navigate({ to: '/accounts/$provider/$account', params: { provider, account } }),
    },
  )
}
