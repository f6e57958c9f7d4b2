// Digests of images as a registry tells them, through the fetch that tenants' addresses are called with.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createOutboundFetch } from '../../infra/outbound.ts'
import { createImageResolver } from '../../infra/registry.ts'
import { parseImage } from '../../jobs/kinds/image.ts'
import { openRegistry, registryLogin } from '../fakes/registry.ts'

const digest = `sha256:${'a'.repeat(64)}`
let registry: Awaited<ReturnType<typeof openRegistry>>
let now_ms: number
let resolve: ReturnType<typeof createImageResolver>

beforeEach(async () => {
  registry = await openRegistry()
  registry.state.tags.set('desk/model:1', digest).set('desk/model:latest', digest)
  now_ms = 0
  const fetch = createOutboundFetch({ allow_private: true, timeout_ms: 60_000 })
  resolve = createImageResolver({ fetch, now: () => new Date(now_ms) })
})

afterEach(() => registry.close())

const image = (tag = ':1') => `${registry.host}/desk/model${tag}`
const login = () => ({ server: registry.host, ...registryLogin })

test('the parts of a reference are told apart as docker does', () => {
  const read = (text: string) => {
    const { registry: host, repository, tag } = parseImage(text)
    return [host, repository, tag]
  }
  expect(read('python')).toEqual(['docker.io', 'library/python', null])
  expect(read('python:3.12')).toEqual(['docker.io', 'library/python', '3.12'])
  expect(read('desk/model:1')).toEqual(['docker.io', 'desk/model', '1'])
  expect(read('ghcr.io/desk/model:1')).toEqual(['ghcr.io', 'desk/model', '1'])
  expect(read('localhost/model')).toEqual(['localhost', 'model', null])
  expect(read('registry.example.com:5000/a/b')).toEqual(['registry.example.com:5000', 'a/b', null])
  expect(parseImage(`a/b:1@${digest}`)).toMatchObject({ name: 'a/b', tag: '1', digest })
})

test('a digest is read with the token that the registry gives to anyone', async () => {
  expect(await resolve(image())).toEqual({ state: 'found', digest })
  expect(await resolve(image(''))).toEqual({ state: 'found', digest })
  expect(registry.state.asked.slice(0, 3)).toEqual([
    'HEAD /v2/desk/model/manifests/1',
    'GET /token',
    'HEAD /v2/desk/model/manifests/1',
  ])
})

test.each(['token', 'basic'] as const)('a private repository is read with its login (%s)', async (auth) => {
  Object.assign(registry.state, { auth, closed: new Set(['desk/model']) })
  const refusal = { state: 'unread', why: `${registry.host} refuses to tell without a login` }
  expect(await resolve(image())).toEqual(refusal)
  // Another registry's login is not shown to this one.
  expect(await resolve(image(), { ...login(), server: 'ghcr.io' })).toEqual(refusal)
  expect(await resolve(image(), { ...login(), password: 'wrong' })).toEqual({
    state: 'unread',
    why: `${registry.host} refuses the login`,
  })
  expect(await resolve(image(), login())).toEqual({ state: 'found', digest })
})

test('an image that is not there is told from a registry that does not tell', async () => {
  expect(await resolve(image(':2'))).toEqual({
    state: 'missing',
    why: `${registry.host} has no desk/model:2`,
  })
  const unread = async (tag: string) => {
    const answer = await resolve(image(tag), login())
    expect(answer.state).toBe('unread')
    expect(JSON.stringify(answer)).not.toContain(registryLogin.password)
  }
  for (const fault of ['throttled', 'server_error', 'reset'] as const) {
    registry.wire.spoil(() => true, fault)
    await unread(`:${fault}`)
  }
  registry.wire.spoil(({ path }) => path === '/token', 'html')
  await unread(':html')
  registry.wire.calm()
  registry.state.says_digest = false
  expect(await resolve(image())).toEqual({
    state: 'unread',
    why: `${registry.host} answered HTTP 200 without a digest`,
  })
})

test('a registry in a private network is not called unless that is allowed', async () => {
  const fetch = createOutboundFetch({ allow_private: false, timeout_ms: 60_000 })
  const answer = await createImageResolver({ fetch, now: () => new Date(0) })(image())
  expect(answer.state).toBe('unread')
  expect(registry.state.asked).toEqual([])
})

test('an answer is kept for a minute, by image and login', async () => {
  await Promise.all([resolve(image()), resolve(image())])
  const asked = registry.state.asked.length
  await resolve(image())
  expect(registry.state.asked).toHaveLength(asked)
  now_ms = 60_000
  registry.state.tags.set('desk/model:1', `sha256:${'b'.repeat(64)}`)
  expect(await resolve(image())).toEqual({ state: 'found', digest: `sha256:${'b'.repeat(64)}` })
})
