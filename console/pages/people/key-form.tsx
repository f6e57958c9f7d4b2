import { useQueryClient } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { useBerth } from '../../api/context.tsx'
import { asProblem } from '../../api/problem.ts'
import { useText } from '../../text/language.tsx'
import { signInTexts } from '../../text/sign-in.ts'
import { Button } from '../../ui/button.tsx'
import { Check, Field, Input } from '../../ui/field.tsx'

export function KeyForm() {
  const t = useText(signInTexts)
  const { api, credentials } = useBerth()
  const cache = useQueryClient()
  const [key, setKey] = useState('')
  const [keep, setKeep] = useState(false)
  const [error, setError] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const signIn = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    const text = key.trim()
    if (text === '') return setError(t('empty'))
    setBusy(true)
    try {
      await api.send('/v1/me', { headers: { Authorization: `Bearer ${text}` } })
      cache.clear()
      credentials.useKey(text, keep)
    } catch (caught) {
      const problem = asProblem(caught)
      setError(problem.status === 401 ? t('wrong') : problem.message)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form
      onSubmit={(event) => void signIn(event)}
      className="flex flex-col gap-4 rounded-lg border border-line bg-surface p-5"
    >
      <Field label={t('key')} hint={t('keyHint')} error={error}>
        <Input
          type="password"
          name="key"
          autoComplete="off"
          autoFocus
          value={key}
          onChange={({ target }) => {
            setKey(target.value)
            setError(null)
          }}
          className="font-mono"
        />
      </Field>
      <Check label={t('keep')} checked={keep} onChange={({ target }) => setKeep(target.checked)} />
      <Button look="primary" type="submit" busy={busy}>
        {t('signIn')}
      </Button>
    </form>
  )
}
