// Who sees what, on the clock of a world: tenants, roles, and what costs money unseen.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scanOrphans } from '../../jobs/orphans.ts'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { openPage, serveWorld, violations } from '../support/console.ts'
import { password, person } from '../support/people.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

describe.skipIf(noBrowser !== null)('who sees what', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())

  const keyOf = async (world: World, role: string) => {
    const made = await world.request('POST', '/v1/keys', { body: { name: role, role } })
    return ((await made.json()) as { key: string }).key
  }

  test('a viewer sees no page of admins, and each action that it may not says why', async () => {
    await using world = await openTestWorld()
    await using served = await serveWorld(world)
    await world.request('POST', '/v1/jobs', { body: backtest({ name: 'somebody’s' }) })
    const { page, wrong } = await openPage(browser, { url: served.url, key: await keyOf(world, 'viewer') })
    await page.goto('/jobs')
    await page.getByRole('link', { name: 'somebody’s' }).click()
    const cancel = page.getByRole('button', { name: 'Cancel' })
    await cancel.waitFor()
    expect(await cancel.getAttribute('aria-disabled')).toBe('true')
    await page.getByText('This needs the role member').first().waitFor({ state: 'attached' })
    const links = await page.getByRole('navigation').getByRole('link').allTextContents()
    for (const hidden of ['Accounts', 'Orphans', 'API keys', 'Webhooks']) expect(links).not.toContain(hidden)
    expect(await violations(page)).toEqual([])
    expect(wrong).toEqual([])
    await page.context().close()
  })

  test('a second tenant sees nothing of the first', async () => {
    await using world = await openTestWorld()
    await using served = await serveWorld(world)
    const made = await world.request('POST', '/v1/jobs', { body: backtest({ name: 'ours' }) })
    const { id } = (await made.json()) as { id: string }
    const { key } = await world.secondProject()
    const { page } = await openPage(browser, { url: served.url, key })
    await page.goto('/jobs')
    await page.getByText('No job has been submitted yet').waitFor()
    await page.goto(`/jobs/${id}`)
    await page.getByText(`There is no job ${id}.`).waitFor()
    await page.context().close()
  })

  test('an orphan is shown with its cost, and stopped', async () => {
    await using world = await openTestWorld()
    await using served = await serveWorld(world)
    await world.request('POST', '/v1/jobs', { body: backtest() })
    await world.pass()
    const [machine] = world.model.machines.values()
    if (machine === undefined) throw new Error('nothing was launched')
    const stray = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'
    const request = { ...machine.request, attempt_id: stray, name: 'berth-stray' }
    world.model.machines.set(stray, { ...machine, request, seen: { state: 'running', detail: null } })
    await scanOrphans(world.deps)
    const { page, wrong } = await openPage(browser, { url: served.url, key: world.key })
    await page.goto('/orphans')
    await page.getByText('berth-stray').waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByRole('button', { name: 'Stop' }).click()
    await page
      .getByText(/stop was called/)
      .first()
      .waitFor()
    expect(world.model.machines.get(stray)?.seen.state).toBe('gone')
    expect(wrong).toEqual([])
    await page.context().close()
  })

  test('a person signs in by e-mail, is known after a reload, and signs out', async () => {
    await using world = await openTestWorld()
    await using served = await serveWorld(world)
    await person(world, 'Ada', { project_id: world.project_id, role: 'member' })
    const { page } = await openPage(browser, { url: served.url, key: null })
    await page.goto('/')
    await page.getByText('E-mail', { exact: true }).first().click()
    await page.getByLabel('E-mail', { exact: true }).last().fill('ada@example.com')
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('Why jobs wait').waitFor()
    await page.reload()
    await page.getByText('Why jobs wait').waitFor()
    // No script can read the session.
    expect(await page.evaluate('document.cookie')).toBe('')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in to Berth' }).waitFor()
    await page.context().close()
  })
})
