import { useQueryClient } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useBerth } from '../../api/context.tsx'
import { asProblem } from '../../api/problem.ts'
import { useText } from '../../text/language.tsx'
import { signInTexts } from '../../text/sign-in.ts'
import { Button } from '../../ui/button.tsx'
import { Field, Input } from '../../ui/field.tsx'
import { useLoginOptions } from './door.tsx'

type Step = 'login' | 'register' | 'forgot'

/** Logs in, registers, or has a link sent. `invitation`: the token that a link brought. */
export function EmailForm({ invitation, onDone }: { invitation?: string; onDone?: () => void }) {
  const t = useText(signInTexts)
  const options = useLoginOptions()
  const [step, setStep] = useState<Step>('login')
  const [typed, setTyped] = useState({ email: '', password: '', name: '' })
  const [said, setSaid] = useState<string | null>(null)
  const { act, busy, wrong, forget } = useDoor(invitation, onDone, (next, text) => {
    setStep(next)
    setSaid(text)
  })
  const set =
    (name: keyof typeof typed) =>
    ({ target }: { target: { value: string } }) => {
      setTyped({ ...typed, [name]: target.value })
      forget()
    }
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    void act(step, typed)
  }
  const go = (next: Step) => () => {
    setStep(next)
    setSaid(null)
    forget()
  }
  const words = { login: t('signIn'), register: t('register'), forgot: t('sendLink') }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4 rounded-lg border border-line bg-surface p-5">
      {said === null ? null : (
        <p role="status" className="rounded-md bg-good-wash px-3 py-2 text-[13px] text-good">
          {said}
        </p>
      )}
      {step === 'register' ? (
        <Field label={t('name')} error={wrong.get('name')}>
          <Input required autoComplete="name" value={typed.name} onChange={set('name')} />
        </Field>
      ) : null}
      <Field label={t('email')} error={wrong.get('email') ?? (step === 'forgot' ? wrong.get('') : undefined)}>
        <Input type="email" required autoComplete="username" value={typed.email} onChange={set('email')} />
      </Field>
      {step === 'forgot' ? null : (
        <Field
          label={t('password')}
          hint={step === 'register' ? t('passwordHint') : undefined}
          error={wrong.get('password') ?? wrong.get('')}
        >
          <Input
            type="password"
            required
            autoComplete={step === 'login' ? 'current-password' : 'new-password'}
            value={typed.password}
            onChange={set('password')}
          />
        </Field>
      )}
      <Button look="primary" type="submit" busy={busy}>
        {words[step]}
      </Button>
      <Ways
        step={step}
        mayRegister={options?.registration === 'open' || invitation !== undefined}
        mayForget={options?.mails ?? false}
        go={go}
      />
    </form>
  )
}

interface WaysProps {
  step: Step
  mayRegister: boolean
  mayForget: boolean
  go: (next: Step) => () => void
}

function Ways({ step, mayRegister, mayForget, go }: WaysProps) {
  const t = useText(signInTexts)
  const way = (next: Step, text: string) => (
    <Button small look="quiet" onClick={go(next)}>
      {text}
    </Button>
  )
  if (step !== 'login') return <div>{way('login', t('back'))}</div>
  return (
    <div className="flex flex-wrap gap-2">
      {mayRegister ? way('register', t('registerHint')) : null}
      {mayForget ? way('forgot', t('forgot')) : null}
    </div>
  )
}

function useDoor(
  invitation: string | undefined,
  onDone: (() => void) | undefined,
  onStep: (step: Step, said: string) => void,
) {
  const t = useText(signInTexts)
  const { api, credentials } = useBerth()
  const cache = useQueryClient()
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<ReadonlyMap<string, string>>(new Map())
  const { auth } = api.routes.v1
  const once = async (
    step: Step,
    { email, password, name }: { email: string; password: string; name: string },
  ) => {
    if (step === 'forgot') {
      await answered(auth.password.forgot.$post({ json: { email } }))
      return onStep('login', t('linkSent'))
    }
    if (step === 'register') {
      const json = { email, password, name, ...(invitation === undefined ? {} : { invitation }) }
      const { must_verify } = await answered(auth.register.$post({ json }))
      return onStep('login', must_verify ? t('mustVerify') : t('registered'))
    }
    await answered(auth.login.$post({ json: { email, password, as: 'cookie' } }))
    cache.clear()
    credentials.useCookie()
    onDone?.()
  }
  const act = async (...given: Parameters<typeof once>) => {
    setBusy(true)
    try {
      await once(...given)
    } catch (caught) {
      const { errors, message } = asProblem(caught)
      setWrong(
        new Map(errors.length === 0 ? [['', message]] : errors.map((each) => [each.path, each.message])),
      )
    } finally {
      setBusy(false)
    }
  }
  return { act, busy, wrong, forget: () => setWrong(new Map()) }
}
