// Custom jobs over REST, through the whole server, in real containers of an image that has only busybox.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '@hono/node-server'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { compose } from '../../infra/compose.ts'
import { parseConfig } from '../../infra/config.ts'
import type { JobView } from '../../jobs/view.ts'
import { containersProvider } from '../support/containers-world.ts'
import { found, until } from '../support/local-world.ts'
import { busyboxImage, noPodman, openEngine } from '../support/podman.ts'

async function openBerth(socket: string) {
  const folder = mkdtempSync(join(tmpdir(), 'berth-containers-'))
  const config = parseConfig({
    BERTH_DATA_DIR: folder,
    BERTH_LOCAL_PROVIDER: 'false',
    BERTH_LOG_LEVEL: 'error',
  })
  // The first start makes the installation, whose name the things at an engine carry.
  const first = await compose(config)
  const { installation } = first.deps
  await first.close()
  const env = { BERTH_RUNNER_HEARTBEAT_S: '0.2' }
  const provider = containersProvider({ socket }, { installation, policy: { env } })
  const berth = await compose(config, [provider])
  const { promise, resolve } = Promise.withResolvers<AddressInfo>()
  const server = serve({ fetch: createApp(berth.deps).fetch, hostname: '127.0.0.1', port: 0 }, resolve)
  const url = `http://127.0.0.1:${(await promise).port}`
  const loops = await berth.start(url)
  const key = readFileSync(join(folder, 'admin.key'), 'utf8').trim()
  const ask = (method: string, path: string, body?: object) =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  return {
    ask,
    provider,
    async run(script: string, more: object = {}, params: object = {}) {
      const spec = { kind: 'custom', resources: { cpu: 0.5, memory_gib: 0.125, disk_gib: 1 }, ...more }
      const command = ['sh', '-c', script]
      const answer = await ask('POST', '/v1/jobs', {
        ...spec,
        params: { image: busyboxImage, command, ...params },
      })
      const { id } = (await answer.json()) as JobView
      const read = async () => (await (await ask('GET', `/v1/jobs/${id}`)).json()) as JobView
      return { id, read }
    },
    async [Symbol.asyncDispose]() {
      await loops.stop()
      server.close()
      await berth.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const isOver = ({ finished_at, cost }: JobView) => finished_at !== null && cost.final

test('an image with nothing but busybox runs, fails, and is stopped, and nothing is left', async (context) => {
  if (noPodman !== null) return context.skip(noPodman)
  const engine = await openEngine()
  try {
    await using berth = await openBerth(engine.socket)
    await berth.ask('PUT', '/v1/secrets/KEY', { value: 'a-long-secret-value' })
    const script = `id -u; echo "$KEY" | wc -c; printf 'a\\000b' >m.bin; echo '{"ok": true}' >result.json`
    const good = await berth.run(script, {}, { secrets: ['KEY'], outputs: ['*.bin'] })
    const bad = await berth.run('echo "no such column" >&2; exit 3')
    const missing = await berth.run('', {}, { image: '127.0.0.1:1/none:1' })
    const long = await berth.run(
      `trap 'echo "{}" >result.json; exit 0' TERM; echo up; while :; do sleep 0.1; done`,
    )

    await until(async () => isOver(await good.read()))
    expect(await good.read()).toMatchObject({ state: 'succeeded', result: { ok: true } })
    const log = await (await berth.ask('GET', `/v1/jobs/${good.id}/logs?format=text`)).text()
    expect(log).toContain('65534\n20\n')
    const file = await berth.ask('GET', `/v1/jobs/${good.id}/artifacts/m.bin`)
    expect(Buffer.from(await file.arrayBuffer())).toEqual(Buffer.from('a\0b'))

    await until(async () => isOver(await bad.read()))
    expect(await bad.read()).toMatchObject({
      state: 'failed',
      error: { exit_code: 3, message: 'no such column' },
    })

    const said = async () => (await berth.ask('GET', `/v1/jobs/${long.id}/logs?format=text`)).text()
    await until(async () => (await said()).includes('up'))
    expect((await berth.ask('POST', `/v1/jobs/${long.id}/stop`)).status).toBe(202)
    await until(async () => isOver(await long.read()))
    expect(await long.read()).toMatchObject({ state: 'succeeded', result: {} })

    expect((await berth.ask('POST', `/v1/jobs/${missing.id}/cancel`)).status).toBe(202)
    // Its last launch had no answer, so for a minute nobody knows what it may still make.
    await until(async () => (await missing.read()).finished_at !== null)
    expect(await missing.read()).toMatchObject({ state: 'cancelled' })
    await until(async () => (await found(berth.provider)).length === 0)
  } finally {
    await engine.close()
  }
})
