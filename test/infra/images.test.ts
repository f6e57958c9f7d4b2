// How images are built and compose is told of them. Building them takes minutes and a network: `npm run bench -- images`.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as kube from '@kubernetes/client-node'
import { expect, onTestFinished, test } from 'vitest'
import { parseConfig } from '../../infra/config.ts'
import { buildArguments, pinned, readBases, recipes } from '../../infra/images.ts'
import { createOutboundFetch } from '../../infra/outbound.ts'
import { createImageResolver } from '../../infra/registry.ts'
import { openRegistry } from '../fakes/registry.ts'

const infra = resolve(import.meta.dirname, '../../infra')
const read = (name: string) => readFileSync(resolve(infra, name), 'utf8')
const bases = readBases(read('images.env'))
const compose_ms = 60_000
interface Service {
  environment: Record<string, string>
  build: { args: Record<string, string> }
}
const noCompose =
  spawnSync('docker-compose', ['version']).status === 0
    ? null
    : 'compose files are not tried: docker-compose is not installed'

const options = { prefix: 'registry.example.com/berth', tag: '1', revision: 'abc', bases, env: {} }

test('each image is built of its own file, with the bases that are named and the mirrors that are set', () => {
  expect(Object.keys(recipes).join(' ')).toBe(
    'server local runner backtest backtest-cuda training training-cuda',
  )
  const args = buildArguments('training-cuda', {
    ...options,
    env: { PIP_INDEX_URL: 'https://mirror.example.com' },
  })
  expect(args).toEqual(expect.arrayContaining(['CUDA=1', 'PIP_INDEX_URL=https://mirror.example.com']))
  expect(args).toContain(`PYTHON_IMAGE=${bases.get('PYTHON_IMAGE')}`)
  expect(args.slice(-3)).toEqual(['--tag', 'registry.example.com/berth/training-cuda:1', 'containers'])
  // It has no Node in it.
  expect(args.join(' ')).not.toContain('NODE_IMAGE')
  expect(() => buildArguments('serve', options)).toThrow(
    'there is no image serve: name some of server, local',
  )
})

test('a file of its own builds on what infra/images.env names', () => {
  for (const { file } of Object.values(recipes)) {
    const text = readFileSync(resolve(infra, '..', file), 'utf8')
    for (const [, name = '', image] of text.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm))
      expect([file, image]).toEqual([file, bases.get(name)?.replace(/@.*/, '')])
  }
})

test('digests are those that registries tell; what is not told stays, with the reason', async () => {
  const registry = await openRegistry()
  onTestFinished(registry.close)
  const digest = `sha256:${'a'.repeat(64)}`
  registry.state.tags.set('library/node:24', digest)
  const fetch = createOutboundFetch({ allow_private: true, timeout_ms: 10_000 })
  const resolver = createImageResolver({ fetch, now: () => new Date() })
  const text = `# bases\nNODE_IMAGE=${registry.host}/library/node:24@sha256:${'b'.repeat(64)}\nGONE=${registry.host}/gone:1\n`
  const { text: after, skipped } = await pinned(text, resolver)
  expect(after).toBe(
    `# bases\nNODE_IMAGE=${registry.host}/library/node:24@${digest}\nGONE=${registry.host}/gone:1\n`,
  )
  expect(skipped).toEqual([`${registry.host}/gone:1: ${registry.host} has no gone:1`])
})

test('compose gives the server settings that it takes, and asks for each password', () => {
  const { services } = kube.loadYaml(read('compose/compose.yaml')) as { services: Record<string, Service> }
  const told = [...read('compose/compose.yaml').matchAll(/\$\{(\w+)(:[?-])?/g)].map(([, name = '', how]) => ({
    name,
    how,
  }))
  const known = new Set([...bases.keys(), ...readNames(read('compose/example.env'))])
  expect(told.filter(({ name, how }) => how !== ':-' && !known.has(name))).toEqual([])
  const values: Record<string, string> = { BERTH_SECRET_KEY: `${'A'.repeat(43)}=` }
  const filled = Object.entries(services['server']?.environment ?? {}).map(([name, text]) => [
    name,
    text.replaceAll(
      /\$\{(\w+)(?::-([^}]*)|[^}]*)\}/g,
      (_, own: string, usual?: string) => usual ?? values[own] ?? 'x',
    ),
  ])
  expect(parseConfig(Object.fromEntries(filled))).toMatchObject({ local_provider: true, local_slots: 4 })
  expect(services['server']).toMatchObject({ read_only: true, cap_drop: ['ALL'], init: true })
})

test('compose takes its files, and the mirrors beside them', (context) => {
  if (noCompose !== null) return context.skip(noCompose)
  const files = ['compose.yaml', 'compose.china.yaml'].flatMap((name) => [
    '-f',
    resolve(infra, 'compose', name),
  ])
  const env = {
    PATH: process.env['PATH'],
    POSTGRES_PASSWORD: 'p',
    STORE_SECRET: 's',
    GRAFANA_PASSWORD: 'g',
    BERTH_SECRET_KEY: 'k',
  }
  const run = (more: Partial<typeof env>) =>
    spawnSync(
      'docker-compose',
      ['--env-file', resolve(infra, 'images.env'), ...files, 'config', '--format', 'json'],
      {
        env: { ...env, ...more } as NodeJS.ProcessEnv,
        encoding: 'utf8',
        timeout: compose_ms,
      },
    )
  const good = run({})
  expect(good.stderr).toBe('')
  const { services } = JSON.parse(good.stdout) as { services: Record<string, Service> }
  expect(Object.keys(services).toSorted()).toEqual([
    'grafana',
    'postgres',
    'prometheus',
    'server',
    'store',
    'store-bucket',
  ])
  expect(services['server']?.build.args).toMatchObject({
    npm_config_registry: expect.stringMatching(/^https:/),
  })
  expect(run({ STORE_SECRET: '' }).stderr).toContain('set it in infra/compose/.env')
})

const readNames = (text: string) => [...text.matchAll(/^(\w+)=/gm)].map(([, name = '']) => name)
