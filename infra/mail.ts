import { createTransport } from 'nodemailer'
import type { Mail } from '../jobs/identity.ts'

/** A mail server that does not answer in this time is not waited for; whoever asked for the mail asks again. */
const bound_ms = 15_000

/** Sends by SMTP, as `smtps://user:password@host` or `smtp://host:587` (STARTTLS where it is offered). */
export function createMailer({ smtp_url, from }: { smtp_url: string; from: string }) {
  const transport = createTransport(
    { url: smtp_url, connectionTimeout: bound_ms, greetingTimeout: bound_ms, socketTimeout: bound_ms },
    { from },
  )
  return async (mail: Mail): Promise<void> => {
    await transport.sendMail(mail)
  }
}
