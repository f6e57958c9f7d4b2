// An account of the fake ECS: a GPU type and one without, in two zones.
import { createAlibabaProvider } from '../../providers/alibaba/alibaba.ts'
import type { AlibabaProviderOptions } from '../../providers/alibaba/options.ts'
import { key, openEcs } from '../fakes/alibaba.ts'

export type FakeEcs = Awaited<ReturnType<typeof openEcs>>

export const region = 'cn-hangzhou'
export const installation = '4q7k2m9x3vtb'
export const gpuType = 'ecs.gn7i-c8g1.2xlarge'
export const cpuType = 'ecs.g7.2xlarge'
const vswitches = [
  { zone: 'cn-hangzhou-i', id: 'vsw-bp1i' },
  { zone: 'cn-hangzhou-j', id: 'vsw-bp1j' },
]

export async function openFakeEcs(now_ms = Date.parse('2026-03-02T09:00:00Z')): Promise<FakeEcs> {
  const ecs = await openEcs({
    region,
    vswitches: Object.fromEntries(vswitches.map(({ zone, id }) => [id, zone])),
    now_ms,
  })
  const gpu = { spec: 'NVIDIA A10', count: 1, memory_gib: 24 }
  ecs.state.types.set(gpuType, { cpu: 8, memory_gib: 30, gpu, price: 1.456, spot: 0.2912 })
  ecs.state.types.set(cpuType, { cpu: 8, memory_gib: 32, price: 0.4, spot: 0.04 })
  return ecs
}

export const alibabaOptions = (
  { host, state }: Pick<FakeEcs, 'host' | 'state'>,
  given: Partial<AlibabaProviderOptions> = {},
): AlibabaProviderOptions => ({
  account: 'desk',
  installation,
  access_key_id: key.id,
  access_key_secret: key.secret,
  region,
  vswitches,
  security_group_id: 'sg-bp1example',
  image_id: 'm-bp1example',
  instance_types: [gpuType, cpuType],
  spot: true,
  bid_multiple: 1,
  ram_role: 'berth-machine',
  disk_gib: 200,
  disk_category: 'cloud_essd',
  clock: { now: () => new Date(state.now_ms) },
  api: { protocol: 'HTTP', host },
  ...given,
})

export const openProvider = (ecs: FakeEcs, given: Partial<AlibabaProviderOptions> = {}) =>
  createAlibabaProvider(alibabaOptions(ecs, given))
