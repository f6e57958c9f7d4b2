// A real browser: Chromium as the system has it.
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { patience_ms } from './patience.ts'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = places.find((path) => existsSync(path))

/** Why there is no browser; null: there is one. */
export const noBrowser =
  executablePath === undefined
    ? `tests in a browser are skipped: there is none of ${places.join(', ')}`
    : null

/** Starts it; the caller closes it. */
export async function openBrowser(): Promise<Browser> {
  if (executablePath === undefined) throw new Error(noBrowser ?? '')
  // Chromium's own sandbox does not start as root, which is who tests containers. The pages are ours.
  return await chromium.launch({
    executablePath,
    timeout: patience_ms,
    chromiumSandbox: process.getuid?.() !== 0,
    // Containers often have 64 MiB of shared memory, and a page crashes that wants more.
    args: ['--disable-dev-shm-usage'],
  })
}
