import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { openServed, type Served } from './served.ts'

const secret = 'canary-of-a-credential'

function withVendor({ world }: Served) {
  world.deps.vendors = async () => ({
    cloud: {
      settings: z.strictObject({}),
      credentials: z.strictObject({ token: z.string() }),
      remote: false,
      open: ({ account }) =>
        Promise.resolve({
          ...world.model.provider,
          name: 'cloud',
          account,
          check: () => Promise.resolve([{ name: 'token', ok: true, detail: 'it works' }]),
        }),
    },
  })
}

test('an account is added from a file, tried, drained, disabled and removed, and its credentials are never shown', async () => {
  await using served = await openServed()
  withVendor(served)
  const folder = mkdtempSync(join(tmpdir(), 'berth-cli-'))
  const file = join(folder, 'credentials.json')
  writeFileSync(file, JSON.stringify({ token: secret }))
  const cli = (...argv: string[]) => served.cli(['admin', 'accounts', ...argv])
  const made = await cli('add', 'cloud', 'main', '--credentials', file)
  expect([made.code, made.stderr]).toEqual([0, ''])
  const id = /pac_[a-z0-9]+/.exec(made.stdout)?.[0] ?? ''
  expect((await cli('test', id)).stdout).toBe('ok   token: it works\n')
  expect((await cli('drain', id)).stdout).toContain('draining')
  expect((await cli('enable', id)).stdout).toContain('enabled')
  const listed = await cli('list')
  expect(listed.stdout).toMatch(/pac_\w+ +cloud\/main +enabled +healthy/)
  expect((await cli('rotate', id, '--credentials', file)).code).toBe(0)
  expect((await cli('disable', id)).stdout).toContain('disabled')
  served.world.advance(61)
  expect((await cli('delete', id)).code).toBe(0)
  writeFileSync(file, `{ "token": "${secret}"`)
  const broken = await cli('add', 'cloud', 'main', '--credentials', file)
  expect(broken.code).not.toBe(0)
  for (const { stdout, stderr } of [made, listed, broken]) expect(stdout + stderr).not.toContain(secret)
  rmSync(folder, { recursive: true, force: true })
})

test('what is left at providers is listed with the money at risk', async () => {
  await using served = await openServed()
  const { code, stdout } = await served.cli(['admin', 'orphans', 'list'])
  expect([code, stdout]).toEqual([0, 'at risk: 0.0000 USD an hour\n'])
  expect((await served.cli(['admin', 'orphans', 'stop', 'what'])).code).toBe(2)
})
