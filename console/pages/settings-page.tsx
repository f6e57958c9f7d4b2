import { useCredential } from '../api/context.tsx'
import { useMe } from '../api/me.ts'
import { settingsTexts } from '../text/project.ts'
import { useText } from '../text/language.tsx'
import { type Prefs, usePrefs } from '../text/prefs.tsx'
import { Facts } from '../ui/facts.tsx'
import { Field, Select } from '../ui/field.tsx'
import { Page, Panel } from '../ui/page.tsx'

export function SettingsPage() {
  const t = useText(settingsTexts)
  const me = useMe()
  const credential = useCredential()
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex max-w-xl flex-col gap-4 px-4 pb-6">
        <Panel>
          <div className="flex flex-col gap-4 p-4">
            <Choice
              name="theme"
              label={t('theme')}
              choices={{ system: t('system'), light: t('light'), dark: t('dark') }}
            />
            <Choice
              name="language"
              label={t('language')}
              choices={{ auto: t('auto'), en: 'English', 'zh-CN': '简体中文' }}
            />
            <Choice
              name="rise"
              label={t('rise')}
              choices={{ auto: t('riseAuto'), green: t('green'), red: t('red') }}
            />
          </div>
        </Panel>
        <Panel title={t('you')}>
          <div className="pt-3">
            <Facts
              items={[
                [t('project'), me?.project?.name ?? ''],
                [
                  t('signedIn'),
                  [me?.email ?? me?.name, credential?.kind === 'key' ? t('withKey') : null, me?.role]
                    .filter(Boolean)
                    .join(' · '),
                ],
              ]}
            />
          </div>
        </Panel>
      </div>
    </Page>
  )
}

function Choice<Name extends keyof Prefs>({
  name,
  label,
  choices,
}: {
  name: Name
  label: string
  choices: Record<Prefs[Name], string>
}) {
  const { prefs, change } = usePrefs()
  return (
    <Field label={label}>
      <Select value={prefs[name]} onChange={({ target }) => change({ [name]: target.value as Prefs[Name] })}>
        {Object.entries<string>(choices).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </Select>
    </Field>
  )
}
