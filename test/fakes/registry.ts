// A registry of images as https://github.com/opencontainers/distribution-spec/blob/main/spec.md and
// https://distribution.github.io/distribution/spec/auth/token/ say, with one private repository.
import { serveWire, type WireAnswer, type WireRequest } from './wire.ts'

export const registryLogin = { username: 'desk', password: 'the-password-of-the-registry' }

export async function openRegistry() {
  const state = {
    /** Digest by `repository:tag`. */
    tags: new Map<string, string>(),
    /** How it wants to be told who asks. */
    auth: 'token' as 'token' | 'basic' | 'none',
    /** Repositories that a login is needed for. */
    closed: new Set<string>(),
    /** Registries need not say it. */
    says_digest: true,
    asked: [] as string[],
  }
  const basic = `Basic ${Buffer.from(`${registryLogin.username}:${registryLogin.password}`).toString('base64')}`
  const answer = (request: WireRequest): WireAnswer => {
    const { path, query, headers, method } = request
    state.asked.push(`${method} ${path}`)
    if (path === '/token') {
      const [, repository = ''] = /^repository:(.+):pull$/.exec(query.get('scope') ?? '') ?? []
      if (query.get('service') !== 'registry.test') return refused(400, 'UNSUPPORTED')
      // A wrong login is refused; without one a token is given that opens what is open.
      if (headers.authorization !== undefined && headers.authorization !== basic)
        return refused(401, 'UNAUTHORIZED')
      const who = headers.authorization === basic ? 'desk' : 'anyone'
      return { status: 200, body: JSON.stringify({ token: `${who}/${repository}` }) }
    }
    const [, repository = '', tag = ''] = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(path) ?? []
    if (!headers.accept?.includes('application/vnd.oci.image.index.v1+json'))
      return refused(406, 'UNSUPPORTED')
    if (!isAllowed(String(headers.authorization ?? ''), repository)) return challenge(repository)
    const digest = state.tags.get(`${repository}:${tag}`)
    if (digest === undefined) return refused(404, 'MANIFEST_UNKNOWN')
    return { status: 200, headers: state.says_digest ? { 'docker-content-digest': digest } : {}, body: '' }
  }
  const isAllowed = (authorization: string, repository: string) => {
    const isOpen = !state.closed.has(repository)
    if (state.auth === 'none') return isOpen
    if (state.auth === 'basic') return authorization === basic
    return (
      authorization === `Bearer desk/${repository}` ||
      (isOpen && authorization === `Bearer anyone/${repository}`)
    )
  }
  const challenge = (repository: string): WireAnswer => {
    const bearer = `Bearer realm="${wire.url}/token",service="registry.test",scope="repository:${repository}:pull"`
    const value = state.auth === 'basic' ? 'Basic realm="registry.test"' : bearer
    return { ...refused(401, 'UNAUTHORIZED'), headers: { 'www-authenticate': value } }
  }
  const wire = await serveWire({
    answer,
    refusal: (fault) => (fault === 'throttled' ? refused(429, 'TOOMANYREQUESTS') : refused(500, 'UNKNOWN')),
  })
  return { state, wire, host: wire.url.replace('http://', ''), close: wire.close }
}

const refused = (status: number, code: string): WireAnswer => ({
  status,
  body: JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }),
})
