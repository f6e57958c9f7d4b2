// The console in a real browser: pages whose errors are noted, and a world that is served to them.
import { serve } from '@hono/node-server'
import axe from 'axe-core'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { withConsole } from '../../infra/console.ts'
import { patience_ms } from './patience.ts'
import type { World } from './world.ts'

export interface Opened {
  page: Page
  /** What the browser's console was told, and what was thrown on the page. */
  wrong: string[]
}

interface Viewer {
  url: string
  /** null: nobody has signed in. */
  key: string | null
  language?: string
  theme?: 'light' | 'dark'
  size?: { width: number; height: number }
}

/** A window of its own, as a person with this key has it. */
export async function openPage(browser: Browser, viewer: Viewer): Promise<Opened> {
  const { url, key, language = 'en-US', theme = 'light', size = { width: 1_280, height: 800 } } = viewer
  const context = await browser.newContext({
    baseURL: url,
    locale: language,
    colorScheme: theme,
    viewport: size,
    reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(patience_ms)
  if (key !== null) await context.addInitScript(`sessionStorage.setItem('berth.key', ${JSON.stringify(key)})`)
  const page = await context.newPage()
  const wrong: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) wrong.push(message.text())
  })
  page.on('pageerror', (error) => wrong.push(String(error)))
  return { page, wrong }
}

/** What axe finds wrong, as `rule: element`. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const found = (await page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)) as {
    violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[]
  }
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary ?? ''}`),
  )
}

/** How far the page is wider than its window: what is wide scrolls in a box of its own. */
export const overflow = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')

/** Serves a world to browsers, on the clock of the world. */
export async function serveWorld(world: World) {
  const server = serve({
    fetch: await withConsole(world.app.fetch, { public_url: null }),
    hostname: '127.0.0.1',
    port: 0,
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      if ('closeAllConnections' in server) server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
