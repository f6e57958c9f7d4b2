// What people are sent. A link holds its secret after the #, which no server and no log on the way gets.
import type { Deps } from './deps.ts'
import type { Mail } from './identity.ts'
import { link_s } from './identity.ts'

type Given = Pick<Deps, 'send_mail' | 'log'>

/** Where the pages of the console take a secret. */
export const links = {
  reset: ({ settings }: Pick<Deps, 'settings'>, secret: string) =>
    linkTo(settings.public_url(), 'reset-password', secret),
  verify: ({ settings }: Pick<Deps, 'settings'>, secret: string) =>
    linkTo(settings.public_url(), 'verify-email', secret),
  invitation: ({ settings }: Pick<Deps, 'settings'>, secret: string) =>
    linkTo(settings.public_url(), 'accept-invitation', secret),
}
export const linkTo = (
  server: string,
  page: 'reset-password' | 'verify-email' | 'accept-invitation',
  secret: string,
) => `${server}/${page}#token=${secret}`

const minutes = link_s / 60

export const mails = {
  reset: (to: string, link: string): Mail => ({
    to,
    subject: 'Choose a new password for Berth',
    text: `Choose a new password here, within ${minutes} minutes:\n\n${link}\n\nIf you did not ask for this, nothing needs to be done.\n`,
  }),
  verify: (to: string, link: string): Mail => ({
    to,
    subject: 'Verify your address for Berth',
    text: `Open this within ${minutes} minutes to verify your address:\n\n${link}\n\nIf you did not register, nothing needs to be done.\n`,
  }),
  /** The answer to a registration does not say that the address is known: its owner is told instead. */
  known: (to: string): Mail => ({
    to,
    subject: 'You have an account at Berth',
    text: 'Somebody registered with your address, which has an account already. If it was you, log in, or ask for a new password.\n',
  }),
  invitation: (to: string, project: string, link: string): Mail => ({
    to,
    subject: `You are invited to the project ${project.replaceAll(/[\r\n]/g, ' ')} at Berth`,
    text: `Open this to join the project ${project}:\n\n${link}\n`,
  }),
}

/**
 * Sends in the background, so that an answer takes as long whether there is something to send. A mail that is lost is asked for again;
 * the log names neither whom it was for nor its secret.
 */
export function sendLater({ send_mail, log }: Given, mail: Mail): void {
  if (send_mail === null) return
  send_mail(mail).catch((error: unknown) =>
    log('warn', 'a mail was not sent', { error: error instanceof Error ? error.name : 'unknown' }),
  )
}
