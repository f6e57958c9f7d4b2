// What the links in mails open: they hold their secret after the #, which is sent nowhere but in a body.
import { type SubmitEvent, useEffect, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi, useCredential } from '../../api/context.tsx'
import { asProblem } from '../../api/problem.ts'
import { useText } from '../../text/language.tsx'
import { signInTexts } from '../../text/sign-in.ts'
import { Button } from '../../ui/button.tsx'
import { Field, Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/states.tsx'
import { Door } from './door.tsx'
import { EmailForm } from './email-form.tsx'

export const linkPaths = ['/reset-password', '/verify-email', '/accept-invitation'] as const
export type LinkPath = (typeof linkPaths)[number]

/** Leaves for the console itself. */
const leave = () => location.assign('/')

export function LinkPage({ path, secret }: { path: LinkPath; secret: string }) {
  if (path === '/reset-password') return <Reset token={secret} />
  return path === '/verify-email' ? <Verify token={secret} /> : <Accept token={secret} />
}

function Reset({ token }: { token: string }) {
  const t = useText(signInTexts)
  const { auth } = useApi().routes.v1
  const [password, setPassword] = useState('')
  const [error, setError] = useState<string | null>(null)
  const [isDone, setDone] = useState(false)
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    try {
      await auth.password.reset.$post({ json: { token, password } })
      setDone(true)
    } catch (caught) {
      const { errors, message } = asProblem(caught)
      setError(errors[0]?.message ?? message)
    }
  }
  return (
    <Door title={t('reset')}>
      {isDone ? (
        <Done text={t('resetDone')} />
      ) : (
        <form
          onSubmit={(event) => void submit(event)}
          className="flex flex-col gap-4 rounded-lg border border-line bg-surface p-5"
        >
          <Field label={t('newPassword')} hint={t('passwordHint')} error={error}>
            <Input
              type="password"
              required
              minLength={10}
              autoComplete="new-password"
              value={password}
              onChange={({ target }) => setPassword(target.value)}
            />
          </Field>
          <Button look="primary" type="submit">
            {t('reset')}
          </Button>
        </form>
      )}
    </Door>
  )
}

function Verify({ token }: { token: string }) {
  const t = useText(signInTexts)
  const { auth } = useApi().routes.v1
  const [said, setSaid] = useState<'verified' | Error | null>(null)
  useEffect(() => {
    auth.email.verify
      .$post({ json: { token } })
      .then(() => setSaid('verified'))
      .catch((error: unknown) => setSaid(asProblem(error)))
  }, [auth, token])
  return (
    <Door title={t('verify')}>
      {said instanceof Error ? (
        <Failure title={t('verify')} detail={said.message} />
      ) : said === null ? null : (
        <Done text={t('verified')} />
      )}
    </Door>
  )
}

function Accept({ token }: { token: string }) {
  const t = useText(signInTexts)
  const { routes } = useApi()
  const credential = useCredential()
  const [error, setError] = useState<string | null>(null)
  const join = async () => {
    try {
      await answered(routes.v1.invitations.accept.$post({ json: { token } }))
      leave()
    } catch (caught) {
      setError(asProblem(caught).message)
    }
  }
  return (
    <Door title={t('accept')}>
      {error === null ? null : <Failure title={t('accept')} detail={error} />}
      {credential?.kind === 'cookie' ? (
        <Button look="primary" onClick={() => void join()}>
          {t('acceptNow')}
        </Button>
      ) : (
        <>
          <p className="text-muted">{t('acceptAbout')}</p>
          <EmailForm invitation={token} onDone={() => void join()} />
        </>
      )}
    </Door>
  )
}

function Done({ text }: { text: string }) {
  const t = useText(signInTexts)
  return (
    <>
      <p role="status" className="rounded-md bg-good-wash px-3 py-2 text-good">
        {text}
      </p>
      <Button look="primary" onClick={leave}>
        {t('signIn')}
      </Button>
    </>
  )
}
