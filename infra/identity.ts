// Passwords, sessions and tokens. The library's own routes are not mounted: functions/ calls what is here.
import { createHmac } from 'node:crypto'
import type { Log } from '../jobs/deps.ts'
import type { Identity } from '../jobs/identity.ts'
import type { Database } from '../jobs/store/schema.ts'
import { sameToken } from '../jobs/tokens.ts'
import { deriveKey } from './secrets.ts'

export interface Given {
  db: Database
  random: (bytes: number) => Uint8Array
  /** Of the installation, and of nothing else. */
  key: Buffer
  installation: string
  /** Whether an address must be verified before its user may log in: there is a way to send mails. */
  verifies_email: boolean
  log: Log
}

/** What needs the library. */
export type Library = Omit<Identity, 'readSecret'>

/** Begins a session's secret, as it stands in a cookie. */
const prefix = 'brs_'

export function createIdentity(given: Given): Identity {
  const seal = createSecrets(deriveKey(given.key, 'session'))
  // Who never logs in does not wait for it. What is kept is no promise: a worker may end the request that began to wait.
  let opened: Library | null = null
  const library = async () => {
    const { openLibrary } = await import('./identity-library.ts')
    return (opened ??= openLibrary(given, seal.write))
  }
  return {
    readSecret(secret) {
      const token = seal.read(secret)
      return token === null ? null : { token }
    },
    signUp: async (user) => (await library()).signUp(user),
    signIn: async (login) => (await library()).signIn(login),
    issueToken: async (session) => (await library()).issueToken(session),
    readToken: async (token) => (await library()).readToken(token),
    publicKeys: async () => (await library()).publicKeys(),
    isPassword: async (user_id, password) => (await library()).isPassword(user_id, password),
    setPassword: async (user_id, password, but) => (await library()).setPassword(user_id, password, but),
    resetSecret: async (user_id) => (await library()).resetSecret(user_id),
    resetPassword: async (secret, password) => (await library()).resetPassword(secret, password),
    verifySecret: async (user) => (await library()).verifySecret(user),
    verifyEmail: async (secret) => (await library()).verifyEmail(secret),
  }
}

/** A session's token with a MAC: what stands in the database opens no session. */
function createSecrets(key: Buffer) {
  const macOf = (token: string) => createHmac('sha256', key).update(token).digest('base64url')
  return {
    write: (token: string) => `${prefix}${token}.${macOf(token)}`,
    read(secret: string): string | null {
      const match = /^brs_([A-Za-z0-9]{16,64})\.([A-Za-z0-9_-]{43})$/.exec(secret)
      if (!match?.[1] || !match[2]) return null
      return sameToken(match[2], macOf(match[1])) ? match[1] : null
    },
  }
}
