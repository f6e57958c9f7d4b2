// The alert rules and the dashboard ask for figures that there are; a real Prometheus reads both.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openTestWorld } from '../support/world.ts'

const rules = 'infra/monitoring/berth-rules.yml'
const dashboard = 'infra/monitoring/berth-dashboard.json'
const noPromtool = spawnSync('promtool', ['--version']).status !== 0

/** Names of figures in a query, histograms by the name that they were made with. */
const figuresIn = (text: string) =>
  new Set([...text.matchAll(/\bberth_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|count|sum)$/, '')))

test('every figure that a rule or a panel asks for is told', async () => {
  await using world = await openTestWorld()
  const text = await (await world.request('GET', '/metrics')).text()
  const told = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
  for (const file of [rules, dashboard]) {
    const asked = [...figuresIn(readFileSync(file, 'utf8'))]
    expect(asked.length).toBeGreaterThan(5)
    expect(asked.filter((name) => !told.has(name))).toEqual([])
  }
})

test('each alert is in the documentation', () => {
  const names = [...readFileSync(rules, 'utf8').matchAll(/alert: (\w+)/g)].map(([, name]) => name)
  const told = readFileSync('docs/monitoring.md', 'utf8')
  expect(names.filter((name) => !told.includes(`\`${name}\``))).toEqual([])
})

test('Prometheus takes the rules, and what is scraped', async (context) => {
  if (noPromtool) context.skip('promtool is not installed (Debian: prometheus)')
  await using world = await openTestWorld()
  execFileSync('promtool', ['check', 'rules', '--lint-fatal', rules])
  const scraped = await (await world.request('GET', '/metrics')).text()
  const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], { input: scraped })
  expect(`${stdout.toString()}${stderr.toString()}`).toBe('')
  expect(status).toBe(0)
  execFileSync('promtool', ['test', 'rules', 'test/infra/berth-rules.test.yml'])
})
