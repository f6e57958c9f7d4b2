// The console beside the API: its built files under `/`, for browsers alone.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Config } from './config.ts'
import type { Fetch } from './listen.ts'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}
/** What packs well; smaller files gain nothing. */
const packed = new Set(['.html', '.js', '.css', '.svg', '.json'])
const leastPacked_bytes = 1_024

/** Names of files hold a hash of their content, but for those that a browser asks for by a fixed name. */
const forever = 'public, max-age=31536000, immutable'
const eachTime = 'no-cache'

/**
 * No script but ours, and none inline. Styles may be inline: the libraries of menus and charts set them. `blob:` are files that
 * were read with the person's key and are shown or saved.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  'frame-src blob:',
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const safe = {
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
}

/** A year, as browsers' lists ask for. */
const strict = { 'Strict-Transport-Security': 'max-age=31536000' }

/** Where the API and what is beside it answers, a browser's question too. */
const api = /^\/(v1|openapi\.json|reference|metrics|healthz|readyz)(\/|$)/

interface File {
  type: string
  etag: string
  plain: Buffer<ArrayBuffer>
  /** null: it would not be smaller. */
  gzip: Buffer<ArrayBuffer> | null
}
type Files = ReadonlyMap<string, File>

const built = join(import.meta.dirname, '..', 'console', 'dist')

/** Answers browsers with the console and everything else with the API. The files are read once. */
export async function withConsole(
  fetch: Fetch,
  { public_url }: Pick<Config, 'public_url'>,
  folder = built,
): Promise<Fetch> {
  const files = await readFiles(folder)
  const headers = public_url?.startsWith('https:') ? { ...safe, ...strict } : safe
  return (request, env) => {
    const { pathname } = new URL(request.url)
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (!isRead || api.test(pathname)) return fetch(request, env)
    const asset = files.get(pathname)
    if (asset !== undefined && pathname !== '/index.html')
      return sent(request, asset, headers, pathname.startsWith('/assets/') ? forever : eachTime)
    if (!/\btext\/html\b/.test(request.headers.get('accept') ?? '')) return fetch(request, env)
    const index = files.get('/index.html')
    return index === undefined ? notBuilt() : sent(request, index, headers, eachTime)
  }
}

async function readFiles(folder: string): Promise<Files> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    },
  )
  const files = found.filter((entry) => entry.isFile())
  return new Map(
    await Promise.all(
      files.map(async ({ parentPath, name }) => {
        const path = join(parentPath, name)
        return [`/${relative(folder, path).replaceAll('\\', '/')}`, await fileOf(path)] as const
      }),
    ),
  )
}

const pack = promisify(gzip)

async function fileOf(path: string): Promise<File> {
  const plain = await readFile(path)
  const end = extname(path)
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
  const isPacked = packed.has(end) && plain.length >= leastPacked_bytes
  return {
    type: types[end] ?? 'application/octet-stream',
    etag,
    plain,
    gzip: isPacked ? await pack(plain) : null,
  }
}

function sent(
  request: Request,
  { type, etag, plain, gzip: small }: File,
  told: Record<string, string>,
  cache: string,
): Response {
  const headers: Record<string, string> = {
    ...told,
    ETag: etag,
    'Cache-Control': cache,
    Vary: 'Accept-Encoding',
  }
  if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers })
  const packs = small !== null && /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')
  const body = packs ? small : plain
  headers['Content-Type'] = type
  headers['Content-Length'] = String(body.length)
  if (packs) headers['Content-Encoding'] = 'gzip'
  return new Response(request.method === 'HEAD' ? null : body, { status: 200, headers })
}

function notBuilt(): Response {
  const page =
    '<!doctype html><meta charset="utf-8"><title>Berth</title><h1>The console is not built</h1>' +
    '<p>Run <code>npm run build:console</code> and start the server again. The API answers all the same: ' +
    '<a href="/reference">/reference</a>.</p>'
  return new Response(page, {
    status: 503,
    headers: { ...safe, 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' },
  })
}
