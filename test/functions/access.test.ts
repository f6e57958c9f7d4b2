import { expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import type { Access } from '../../jobs/deps.ts'
import { openTestWorld } from '../support/world.ts'

test('each request is told of by its route and who asked, and nothing that it held', async () => {
  await using world = await openTestWorld()
  const told: Access[] = []
  const app = createApp({ ...world.deps, access: (access) => told.push(access) })
  await app.request('/v1/jobs?label=desk:secret-of-a-desk', {
    headers: { authorization: `Bearer ${world.key}` },
  })
  await app.request('/v1/jobs/job_00000000000000000000000000', { headers: { authorization: 'Bearer wrong' } })
  expect(told).toEqual([
    {
      time: expect.any(String) as string,
      request_id: expect.stringMatching(/^req_/) as string,
      method: 'GET',
      route: '/v1/jobs',
      status: 200,
      ms: expect.any(Number) as number,
      project: world.project_id,
      by: expect.stringMatching(/^key\/key_/) as string,
    },
    expect.objectContaining({ route: '/v1/jobs/:id', status: 401, project: null, by: null }) as Access,
  ])
  expect(JSON.stringify(told)).not.toContain('secret-of-a-desk')
})
