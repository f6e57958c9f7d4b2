// Asks registries of images which digest a tag stands for, by the API that all of them have:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md and, for its tokens,
// https://distribution.github.io/distribution/spec/auth/token/
import { createHash } from 'node:crypto'
import type { Deps } from '../jobs/deps.ts'
import { parseImage } from '../jobs/kinds/image.ts'
import type { LaunchSecrets } from '../providers/provider.ts'
import { OutboundError } from './targets.ts'

type Login = NonNullable<LaunchSecrets['registry']>
type Resolution = Awaited<ReturnType<Deps['resolve_image']>>

/** Who submits waits for it; the work goes on without, so it is short. */
export const registryBound_ms = 3_000
/** A desk submits one image many times. A tag that moves meanwhile was pulled in that minute by chance anyway. */
const kept_ms = 60_000
const mostKept = 500

/** Any kind of manifest: an index of several machines has a digest of its own, and that is what is wanted. */
const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

export interface RegistryOptions {
  /** Refuses private targets unless told otherwise, follows no redirect, and is bounded in time and bytes. */
  fetch: (url: string, init: RequestInit) => Promise<Response>
  now: () => Date
}

/** A look-up for each image and login, kept for a minute. Its promise never rejects. */
export function createImageResolver({ fetch, now }: RegistryOptions): Deps['resolve_image'] {
  const kept = new Map<string, { at_ms: number; resolution: Promise<Resolution> }>()
  return (image, login = null) => {
    const at_ms = now().getTime()
    const key = createHash('sha256')
      .update(JSON.stringify([image, login]))
      .digest('hex')
    const known = kept.get(key)
    if (known && at_ms - known.at_ms < kept_ms) return known.resolution
    const resolution = resolve(fetch, image, login).catch((error: unknown): Resolution => ({
      state: 'unread',
      why: whyOf(error),
    }))
    kept.delete(key)
    kept.set(key, { at_ms, resolution })
    const [oldest] = kept.keys()
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest)
    return resolution
  }
}

async function resolve(
  fetch: RegistryOptions['fetch'],
  image: string,
  login: Login | null,
): Promise<Resolution> {
  const { registry, repository, tag, digest } = parseImage(image)
  if (digest !== null) return { state: 'found', digest }
  const signal = AbortSignal.timeout(registryBound_ms)
  const url = `${addressOf(registry)}/v2/${repository}/manifests/${tag ?? 'latest'}`
  const own = login !== null && isSame(login.server, registry) ? login : null
  const ask = (authorization: string | null) =>
    fetch(url, { method: 'HEAD', headers: { accept, ...(authorization && { authorization }) }, signal })
  let answer = await ask(null)
  if (answer.status === 401) {
    const authorization = await answerTo(answer.headers.get('www-authenticate') ?? '', own, { fetch, signal })
    if (authorization !== null) answer = await ask(authorization)
  }
  return told(answer, `${repository}:${tag ?? 'latest'}`, { registry, isLogged: own !== null })
}

function told(
  { status, ok, headers }: Response,
  what: string,
  { registry, isLogged }: { registry: string; isLogged: boolean },
): Resolution {
  if (status === 404) return { state: 'missing', why: `${registry} has no ${what}` }
  if (status === 401 || status === 403)
    return {
      state: 'unread',
      why: `${registry} refuses ${isLogged ? 'the login' : 'to tell without a login'}`,
    }
  const digest = headers.get('docker-content-digest') ?? ''
  if (status === 200 && /^sha256:[0-9a-f]{64}$/.test(digest)) return { state: 'found', digest }
  return { state: 'unread', why: `${registry} answered HTTP ${status}${ok ? ' without a digest' : ''}` }
}

/** The `Authorization` that a challenge asks for; null: there is nothing to answer with. */
async function answerTo(
  challenge: string,
  login: Login | null,
  { fetch, signal }: { fetch: RegistryOptions['fetch']; signal: AbortSignal },
): Promise<string | null> {
  const basic = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
  if (/^basic\b/i.test(challenge)) return basic
  if (!/^bearer\b/i.test(challenge)) return null
  const parameters = new Map(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name.toLowerCase(),
      value,
    ]),
  )
  const realm = URL.parse(parameters.get('realm') ?? '')
  if (realm === null) return null
  for (const name of ['service', 'scope']) {
    const value = parameters.get(name)
    if (value !== undefined) realm.searchParams.set(name, value)
  }
  const answer = await fetch(realm.href, { headers: basic ? { authorization: basic } : {}, signal })
  if (!answer.ok) return null
  const given = (await answer.json()) as { token?: unknown; access_token?: unknown }
  const token = given.token ?? given.access_token
  return typeof token === 'string' ? `Bearer ${token}` : null
}

/** Docker Hub's API has another name than its images; docker itself speaks http to this machine alone. */
function addressOf(registry: string): string {
  if (registry === 'docker.io') return 'https://registry-1.docker.io'
  return `${/^(localhost|127\.0\.0\.1)(:|$)/.test(registry) ? 'http' : 'https'}://${registry}`
}

/** `docker login` knows Docker Hub by several names. */
function isSame(server: string, registry: string): boolean {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  const hub = ['docker.io', 'index.docker.io', 'registry-1.docker.io']
  return host === registry || (hub.includes(host) && hub.includes(registry))
}

/** Never with what was sent. */
function whyOf(error: unknown): string {
  if (error instanceof OutboundError) return error.message
  return error instanceof SyntaxError ? 'its answer is not JSON' : 'it did not answer'
}
