// better-auth on our tables: loaded when somebody logs in, for it takes as long to start as the rest of a server.
import { betterAuth } from 'better-auth'
import { createEmailVerificationToken, isAPIError } from 'better-auth/api'
import { jwt } from 'better-auth/plugins/jwt'
import { AppError } from '../jobs/errors.ts'
import { access_s, link_s, type Login, type NewUser, passwordLength } from '../jobs/identity.ts'
import { session_s } from '../jobs/identity.ts'
import { type IdPrefix, isId, newId } from '../jobs/ids.ts'
import type { Database } from '../jobs/store/schema.ts'
import type { Given, Library } from './identity.ts'
import { deriveKey } from './secrets.ts'

/** Signing keys change by themselves; the old one is published for as long again. */
const signingKey_s = 30 * 86_400

/** `seal` writes a session's secret. */
export function openLibrary(given: Given, seal: (token: string) => string): Library {
  const { db, random } = given
  const opened = open(given)
  const auth = () => opened
  return {
    signUp: (user) => signUp(auth(), db, user),
    async signIn(login) {
      const token = await signIn(auth(), login)
      if (token === 'wrong' || token === 'unverified') return token
      const session = await db
        .selectFrom('sessions')
        .select('id')
        .where('token', '=', token)
        .executeTakeFirstOrThrow()
      return { session_id: session.id, secret: seal(token) }
    },
    async issueToken({ session_id, user_id }) {
      const payload = { sub: user_id, sid: session_id, iat: Math.floor(Date.now() / 1_000) }
      return (await auth().api.signJWT({ body: { payload } })).token
    },
    async readToken(token) {
      const { payload } = await auth().api.verifyJWT({ body: { token } })
      const { sub, sid } = (payload ?? {}) as Record<string, unknown>
      return typeof sub === 'string' && typeof sid === 'string' && isId('ses', sid)
        ? { session_id: sid, user_id: sub }
        : null
    },
    publicKeys: async () => {
      const { keys } = await auth().api.getJwks()
      return { keys: keys as Record<string, unknown>[] }
    },
    async isPassword(user_id, password) {
      const { internalAdapter, password: passwords } = await auth().$context
      const credential = await internalAdapter.findCredentialAccount(user_id)
      return credential?.password ? passwords.verify({ hash: credential.password, password }) : false
    },
    async setPassword(user_id, password, but_session_id) {
      const hash = await (await auth().$context).password.hash(password)
      await writePassword(db, { user_id, hash, but_session_id })
    },
    async resetSecret(user_id) {
      const secret = Buffer.from(random(24)).toString('base64url')
      const expiresAt = new Date(Date.now() + link_s * 1_000)
      const { internalAdapter } = await auth().$context
      await internalAdapter.createVerificationValue({
        value: user_id,
        identifier: `reset-password:${secret}`,
        expiresAt,
      })
      return secret
    },
    resetPassword: (token, newPassword) =>
      isDone(auth().api.resetPassword({ body: { token, newPassword } }), 'password'),
    async verifySecret({ id, email }) {
      const { secret } = await auth().$context
      return createEmailVerificationToken(secret, email, undefined, link_s, { userId: id })
    },
    verifyEmail: (token) => isDone(auth().api.verifyEmail({ query: { token } }), 'token'),
  }
}

const prefixes: Record<string, IdPrefix> = {
  user: 'usr',
  session: 'ses',
  account: 'crd',
  verification: 'ver',
  jwks: 'jwk',
}
const times = { createdAt: 'created_at', updatedAt: 'updated_at' }

/** Its tables, under our names. */
const tables = {
  user: {
    modelName: 'users',
    fields: { ...times, emailVerified: 'email_verified' },
  },
  session: {
    modelName: 'sessions',
    fields: {
      ...times,
      expiresAt: 'expires_at',
      ipAddress: 'ip_address',
      userAgent: 'user_agent',
      userId: 'user_id',
    },
    expiresIn: session_s,
  },
  account: {
    modelName: 'credentials',
    fields: {
      ...times,
      accountId: 'account_id',
      providerId: 'provider_id',
      userId: 'user_id',
      accessToken: 'access_token',
      refreshToken: 'refresh_token',
      idToken: 'id_token',
      accessTokenExpiresAt: 'access_token_expires_at',
      refreshTokenExpiresAt: 'refresh_token_expires_at',
    },
  },
  verification: {
    modelName: 'verifications',
    fields: { ...times, expiresAt: 'expires_at' },
    storeIdentifier: 'hashed',
  },
} as const
const keyTable = {
  jwks: {
    fields: {
      publicKey: 'public_key',
      privateKey: 'private_key',
      createdAt: 'created_at',
      expiresAt: 'expires_at',
    },
  },
}

/** What is taken from the library. */
function open({ db, random, key, installation, verifies_email, log }: Given) {
  return betterAuth({
    appName: 'Berth',
    // Nothing of it is served, so that it has no address.
    baseURL: 'http://berth.invalid',
    secret: deriveKey(key, 'identity').toString('base64url'),
    database: { db, type: 'postgres', transaction: true },
    telemetry: { enabled: false },
    logger: { level: 'error', log: (_, message) => log('error', `identity: ${message}`) },
    rateLimit: { enabled: false },
    advanced: {
      database: {
        generateId: ({ model }) => newId(prefixes[model] ?? 'ver', new Date(), random),
        validateSchema: false,
      },
      ipAddress: { ipAddressHeaders: [addressHeader], ipv6Subnet: 128 },
    },
    ...tables,
    emailAndPassword: {
      enabled: true,
      minPasswordLength: passwordLength.least,
      maxPasswordLength: passwordLength.most,
      // A sign-up then answers the same whether the address is known, and opens no session.
      autoSignIn: false,
      requireEmailVerification: verifies_email,
      revokeSessionsOnPasswordReset: true,
    },
    emailVerification: { sendOnSignUp: false, sendOnSignIn: false },
    plugins: [
      jwt({
        jwks: { rotationInterval: signingKey_s, gracePeriod: signingKey_s },
        jwt: {
          issuer: `berth-${installation}`,
          audience: `berth-${installation}`,
          expirationTime: `${access_s}s`,
        },
        schema: keyTable,
      }),
    ],
  })
}
type Auth = ReturnType<typeof open>

/** Ours alone: what a client sends under this name does not get here. */
const addressHeader = 'x-berth-client-address'

async function signUp(auth: Auth, db: Database, body: NewUser): Promise<string | null> {
  try {
    const { user } = await auth.api.signUpEmail({ body })
    const made = await db.selectFrom('users').select('id').where('id', '=', user.id).executeTakeFirst()
    return made?.id ?? null
  } catch (error) {
    throw refused(error, 'password')
  }
}

async function signIn(auth: Auth, { email, password, address, user_agent }: Login): Promise<string> {
  const headers = new Headers()
  if (address !== null) headers.set(addressHeader, address)
  if (user_agent !== null) headers.set('user-agent', user_agent)
  try {
    return (await auth.api.signInEmail({ body: { email, password }, headers })).token
  } catch (error) {
    if (isAPIError(error) && error.body?.code === 'EMAIL_NOT_VERIFIED') return 'unverified'
    if (isAPIError(error)) return 'wrong'
    throw error
  }
}

async function writePassword(
  db: Database,
  { user_id, hash, but_session_id }: { user_id: string; hash: string; but_session_id: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('credentials')
      .set({ password: hash, updated_at: new Date() })
      .where('user_id', '=', user_id)
      .where('provider_id', '=', 'credential')
      .execute()
    await tx.deleteFrom('sessions').where('user_id', '=', user_id).where('id', '!=', but_session_id).execute()
  })
}

/** Whether a link was good: one that was used, is too old or was never made is not. */
async function isDone(work: Promise<unknown>, path: string): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    const other = refused(error, path)
    if (other instanceof AppError && other.code === 'invalid_request') throw other
    if (isAPIError(error)) return false
    throw error
  }
}

/** What of the library's refusals is about what was sent. */
function refused(error: unknown, path: string): unknown {
  const code = isAPIError(error) ? error.body?.code : undefined
  const { least, most } = passwordLength
  const message = {
    PASSWORD_TOO_SHORT: `must have ${least} characters or more`,
    PASSWORD_TOO_LONG: `must have at most ${most} characters`,
    INVALID_EMAIL: 'must be an address of mail',
  }[code ?? '']
  if (message === undefined) return error
  const at = code === 'INVALID_EMAIL' ? 'email' : path
  return new AppError('invalid_request', `${at} ${message}`, {
    errors: [{ path: at, message }],
    cause: error,
  })
}
