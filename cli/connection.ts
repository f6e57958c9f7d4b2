// Which server, by which key, and in which project.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { credentialsFile, isKey, readCredential } from './credentials.ts'
import { CliError, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'

/** Of a server on this machine; in its own container its port is in its own variable. */
const defaultUrl = (io: Io) => `http://127.0.0.1:${/^\d{1,5}$/.exec(io.env['BERTH_PORT'] ?? '')?.[0] ?? 8080}`

export interface Connection {
  /** Without a slash at its end. */
  url: string
  key: string
  /** The id of the one that a person asks in; null: the server's choice. A key has its own. */
  project: string | null
}

export interface Found extends Pick<Connection, 'key' | 'project'> {
  /** Where the key was. */
  source: string
}

export function connection(io: Io): Connection {
  const url = serverUrl(io)
  const found = findKey(io, url)
  if ('missing' in found) throw new CliError(exits.unauthorized, { code: 'no_key', message: found.missing })
  return { url, ...found }
}

export function serverUrl(io: Io): string {
  const text = io.env['BERTH_URL']?.trim() || defaultUrl(io)
  const url = URL.parse(text)
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw usageError('BERTH_URL is not an http:// or https:// address: set it like http://127.0.0.1:8080')
  if (url.username || url.password || url.search || url.hash)
    throw usageError('BERTH_URL has a user, a query or a fragment: give the key in BERTH_API_KEY')
  return url.href.replace(/\/+$/, '')
}

/** The key and where it was found, or what to do to have one. */
export function findKey(io: Io, url: string): Found | { missing: string } {
  const project = io.env['BERTH_PROJECT']?.trim() || null
  if (project !== null && !isKey(project))
    throw usageError('BERTH_PROJECT is no id of a project: take one that "berth projects" shows')
  const given = io.env['BERTH_API_KEY']?.trim()
  if (given) {
    // A slip of copying.
    if (!isKey(given)) throw usageError('BERTH_API_KEY holds characters that no key has: copy it again')
    return { key: given, project, source: 'BERTH_API_KEY' }
  }
  const kept = readCredential(io, url)
  if (kept) return { key: kept.key, project: project ?? kept.project ?? null, source: credentialsFile(io) }
  const file = adminKeyFile(io)
  // Another machine's server must never be shown this machine's admin key.
  if (!isLoopback(url))
    return {
      missing: `There is no key for ${url}, which is not on this machine: run "berth login", or set BERTH_API_KEY.`,
    }
  const key = readIfThere(file)?.trim()
  if (key && isKey(key)) return { key, project, source: file }
  return {
    missing:
      `BERTH_API_KEY is not set and there is no key in ${file}: run "berth login", set BERTH_API_KEY, or BERTH_DATA_DIR to the ` +
      'folder of the server that runs on this machine (its first start writes admin.key there).',
  }
}

export const dataFolder = (io: Io) => resolve(io.cwd, io.env['BERTH_DATA_DIR']?.trim() || 'data')

export const adminKeyFile = (io: Io) =>
  resolve(io.cwd, io.env['BERTH_ADMIN_KEY_FILE']?.trim() || join(dataFolder(io), 'admin.key'))

export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url)
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname)
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    if (code === 'EACCES')
      throw new CliError(exits.unauthorized, {
        code: 'no_key',
        message: `${path} cannot be read by this user: set BERTH_API_KEY, or run as the server's user.`,
      })
    throw error
  }
}
