// What `berth login` keeps: for each server a credential, in a file that its user alone reads.
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { clientError } from './exit.ts'
import { homeOf } from './home.ts'
import type { Io } from './io.ts'

/** `session`: of a person who has logged in; it ends by `berth logout`. */
export interface Credential {
  key: string
  as: 'key' | 'session'
  /** The id of the project in which a person asks; left out: the one that they have belonged to longest. */
  project?: string
}
type Credentials = Record<string, Credential>

/** By the XDG Base Directory Specification: `$XDG_CONFIG_HOME/berth/credentials.json`, or under `~/.config`. */
export function credentialsFile({ env, cwd }: Io): string {
  // Where there is none it is the root, as a container engine says for such a user.
  const home = env['HOME']?.trim() || (homeOf() ?? '/')
  const folder = env['XDG_CONFIG_HOME']?.trim() || join(home, '.config')
  return join(resolve(cwd, folder), 'berth', 'credentials.json')
}

export function readCredential(io: Io, url: string): Credential | null {
  const all = readAll(credentialsFile(io))
  return Object.hasOwn(all, url) ? (all[url] ?? null) : null
}

/** null: forgets it. */
export function writeCredential(io: Io, url: string, credential: Credential | null): void {
  const file = credentialsFile(io)
  const { [url]: _, ...rest } = readAll(file)
  const all: Credentials = credential === null ? rest : { ...rest, [url]: credential }
  if (Object.keys(all).length === 0) return rmSync(file, { force: true })
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // Beside it first, so that a full disk leaves the old one.
  const beside = `${file}.${process.pid}`
  try {
    writeFileSync(beside, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
    chmodSync(beside, 0o600)
    renameSync(beside, file)
  } finally {
    rmSync(beside, { force: true })
  }
}

function readAll(file: string): Credentials {
  const text = readIfThere(file)
  if (text === null) return {}
  // Windows has no such bits.
  if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0)
    throw clientError(`${file} can be read by others: "chmod 600" it, or log in again after removing it`)
  try {
    const all = JSON.parse(text) as unknown
    if (all !== null && typeof all === 'object' && Object.values(all).every(isCredential))
      return all as Credentials
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw clientError(`${file} is not what "berth login" writes: remove it, and log in again`)
}

const isCredential = (value: unknown): value is Credential => {
  const { key, as, project } = (value ?? {}) as Record<string, unknown>
  const isWhole = project === undefined || (typeof project === 'string' && isKey(project))
  return typeof key === 'string' && isKey(key) && (as === 'key' || as === 'session') && isWhole
}

/** What is not a visible character cannot be sent in a header. */
export const isKey = (text: string): boolean => /^[\x21-\x7e]{1,512}$/.test(text)

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw error
  }
}
