import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { release, version } from '../../infra/release.ts'
import { newFolder } from './new-folder.ts'

const root = resolve(import.meta.dirname, '../..')

test('a release is the same bytes twice: the server without tests, the chart, the Python client, and their hashes', (context) => {
  if (spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root }).status !== 0)
    return context.skip('a release is made of a commit, and git finds none here')
  const [first, second] = [newFolder(), newFolder()]
  const own = version()
  const names = release(first)
  expect(names).toEqual([
    `berth-${own}-py3-none-any.whl`,
    `berth-${own}.tar.gz`,
    `berth-chart-${own}.tgz`,
    'SHA256SUMS',
  ])
  expect(release(second)).toEqual(names)
  for (const name of names) expect(readFileSync(join(second, name))).toEqual(readFileSync(join(first, name)))
  const listed = (name: string) =>
    execFileSync('tar', ['-tzf', join(first, name)], { encoding: 'utf8' }).split('\n')
  expect(listed(`berth-${own}.tar.gz`)).toEqual(
    expect.arrayContaining([
      `berth-${own}/infra/node.ts`,
      `berth-${own}/package-lock.json`,
      `berth-${own}/tsconfig.json`,
    ]),
  )
  const tests = /^berth-[^/]+\/(test|bench|containers\/peers|containers\/[^/]+\/tests)\//
  expect(listed(`berth-${own}.tar.gz`).filter((path) => tests.test(path))).toEqual([])
  expect(listed(`berth-chart-${own}.tgz`)).toContain('berth/Chart.yaml')
  const sums = readFileSync(join(first, 'SHA256SUMS'), 'utf8').trimEnd().split('\n')
  expect(sums).toEqual(names.slice(0, -1).map((name) => `${sha256(join(first, name))}  ${name}`))
})

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

test('parts with another version than the server’s are named', () => {
  const folder = newFolder()
  for (const path of ['package.json', 'infra/chart/Chart.yaml', 'clients/python/pyproject.toml'])
    cpSync(join(root, path), join(folder, path), { recursive: true })
  const chart = join(folder, 'infra/chart/Chart.yaml')
  writeFileSync(chart, readFileSync(chart, 'utf8').replace(/^version: .*/m, 'version: 9.9.9'))
  expect(() => version(folder)).toThrow('infra/chart/Chart.yaml (version) 9.9.9')
})
