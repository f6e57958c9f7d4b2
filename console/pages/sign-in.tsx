import { useState } from 'react'
import { useText } from '../text/language.tsx'
import { signInTexts } from '../text/sign-in.ts'
import { Segments } from '../ui/segments.tsx'
import { Door } from './people/door.tsx'
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
