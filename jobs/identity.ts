// Who people are: passwords, sessions and the tokens that speak for one. infra/identity.ts does it with better-auth.

/** Shorter ones are guessed; longer ones cost time to hash (NIST SP 800-63B asks for 8 and lets us ask for more). */
export const passwordLength = { least: 10, most: 128 }
/** From the log-in on; it is not prolonged, so that a session that was stolen ends. */
export const session_s = 14 * 86_400
/** How long a token speaks for a session without being asked for again. */
export const access_s = 900
/** How long a link of a mail is good. */
export const link_s = 3_600

export interface NewUser {
  email: string
  name: string
  password: string
}
export interface Login {
  email: string
  password: string
  address: string | null
  user_agent: string | null
}

/** Proof of who somebody is, which the database has still to be asked for. */
export type Proof = { token: string } | { session_id: string; user_id: string }

export interface Identity {
  /** Answers the new user's id; null: somebody has that address, which takes as long. Throws AppError invalid_request. */
  signUp: (user: NewUser) => Promise<string | null>
  /** Opens a session. `wrong` does not say what is; `unverified`: the password is right. */
  signIn: (login: Login) => Promise<{ session_id: string; secret: string } | 'wrong' | 'unverified'>
  /** What a cookie or a refresh token proves; null: we did not make it. Asks no database. */
  readSecret: (secret: string) => Proof | null
  /** A token of `access_s` for a session. */
  issueToken: (session: { session_id: string; user_id: string }) => Promise<string>
  /** null: it is not ours, or too old. */
  readToken: (token: string) => Promise<Proof | null>
  /** The public keys of those tokens (RFC 7517). */
  publicKeys: () => Promise<{ keys: Record<string, unknown>[] }>
  isPassword: (user_id: string, password: string) => Promise<boolean>
  /** Sets it, and ends all sessions but one. */
  setPassword: (user_id: string, password: string, but_session_id: string) => Promise<void>
  /** What a link to choose a new password holds; good once, for `link_s`. */
  resetSecret: (user_id: string) => Promise<string>
  /** Ends all sessions. Answers whether the secret was good. Throws AppError invalid_request. */
  resetPassword: (secret: string, password: string) => Promise<boolean>
  /** What a link to verify an address holds. */
  verifySecret: (user: { id: string; email: string }) => Promise<string>
  verifyEmail: (secret: string) => Promise<boolean>
}

export interface Mail {
  to: string
  subject: string
  text: string
}

/** Who may make a user of themselves. */
export type Registration = 'open' | 'invitation' | 'closed'
