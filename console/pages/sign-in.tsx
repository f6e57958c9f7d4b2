import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { answered } from '../api/client.ts'
import { useApi } from '../api/context.tsx'
import { useText } from '../text/language.tsx'
import { signInTexts } from '../text/sign-in.ts'
import { Mark } from '../ui/mark.tsx'
import { Segments } from '../ui/segments.tsx'
import { EmailForm } from './people/email-form.tsx'
import { KeyForm } from './people/key-form.tsx'

export function SignInPage() {
  const t = useText(signInTexts)
  const [how, setHow] = useState<'email' | 'key'>(() =>
    localStorage.getItem('berth.sign-in') === 'email' ? 'email' : 'key',
  )
  const choose = (next: 'email' | 'key') => {
    localStorage.setItem('berth.sign-in', next)
    setHow(next)
  }
  return (
    <Door title={t('title')}>
      <Segments
        label={t('how')}
        chosen={how}
        onChoose={choose}
        choices={[
          ['key', t('byKey')],
          ['email', t('byEmail')],
        ]}
      />
      {how === 'key' ? <KeyForm /> : <EmailForm />}
    </Door>
  )
}

/** What is seen by whoever has not signed in. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center bg-canvas px-4 py-10">
      <div className="flex w-full max-w-sm flex-col gap-4">
        <div className="flex items-center gap-3 pb-2">
          <Mark className="size-8" />
          <h1 className="text-lg font-semibold">{title}</h1>
        </div>
        {children}
      </div>
    </main>
  )
}

export function useLoginOptions() {
  const { routes } = useApi()
  return useQuery({
    queryKey: ['login-options'],
    queryFn: () => answered(routes.v1.auth.options.$get()),
    staleTime: Number.POSITIVE_INFINITY,
  }).data
}
