// The variables of who comes in, and how.
import { z } from 'zod'
import { parseNet } from './proxies.ts'
import { list, path, type Variable } from './setting-forms.ts'

const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text

export const access = {
  BERTH_REGISTRATION: {
    default: 'closed',
    meaning:
      'who may register: `open` (everybody), `invitation` (whom a project invites) or `closed` (whom an operator registers, or a project invites)',
    parse: z.enum(['open', 'invitation', 'closed'], 'must be open, invitation or closed'),
  },
  BERTH_SMTP_URL: {
    default: null,
    shown: 'none: no mails',
    meaning:
      'mail server for invitations, forgotten passwords and addresses to verify, as `smtps://user:password@host`',
    parse: z.string().regex(/^smtps?:\/\/\S+$/, 'must begin with smtp:// or smtps://'),
  },
  BERTH_MAIL_FROM: {
    default: null,
    shown: '`berth@` the host of BERTH_PUBLIC_URL',
    meaning: 'sender of those mails',
    parse: z
      .string()
      .max(320)
      .regex(/^[^\r\n]*@[^\r\n]+$/, 'must be an address of mail'),
  },
  BERTH_TRUSTED_PROXIES: {
    default: '',
    shown: 'none',
    meaning:
      'addresses and nets, separated by commas, of proxies whose `X-Forwarded-For` is believed, as `10.0.0.0/8`',
    parse: z
      .string()
      .transform(list)
      .refine((nets) => nets.every((net) => parseNet(net)), 'must be addresses or nets such as 10.0.0.0/8'),
  },
  BERTH_CORS_ORIGINS: {
    default: '',
    shown: 'none',
    meaning:
      'origins, separated by commas, whose pages may ask this server with a key, as `https://desk.example.com`',
    parse: z
      .string()
      .transform(list)
      .refine((all) => all.every(isOrigin), 'must be origins such as https://desk.example.com'),
  },
  BERTH_TLS_CERT: {
    default: null,
    shown: 'none: plain HTTP',
    meaning:
      'file of the certificate and its chain, in PEM: the server speaks TLS 1.3 itself; read again at SIGHUP',
    parse: path,
  },
  BERTH_TLS_KEY: {
    default: null,
    shown: 'none',
    meaning: 'file of the key of that certificate, in PEM',
    parse: path,
  },
} satisfies Record<`BERTH_${string}`, Variable>
