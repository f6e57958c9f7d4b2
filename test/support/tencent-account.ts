// An account of the fake Tencent cloud: two GPU pools and one of CPUs, with prices in two zones.
import { createTencentProvider } from '../../providers/tencent/tencent.ts'
import type { TencentProviderOptions } from '../../providers/tencent/options.ts'
import { type FakeInstance, openTencent, secretId, secretKey } from '../fakes/tencent.ts'

export type FakeTencent = Awaited<ReturnType<typeof openTencent>>

export const cluster_id = 'cls-fi097sy4'
export const region = 'ap-guangzhou'

/** A row of DescribeZoneInstanceConfigInfos. */
export const instance = (
  InstanceType: string,
  given: { cpu: number; memory: number; gpus?: number; cny: number } & Record<string, unknown>,
): FakeInstance => {
  const { cpu, memory, gpus = 0, cny, ...fields } = given
  return {
    Zone: 'ap-guangzhou-6',
    InstanceType,
    InstanceChargeType: 'POSTPAID_BY_HOUR',
    InstanceFamily: InstanceType.split('.')[0],
    Cpu: cpu,
    Memory: memory,
    Gpu: gpus,
    GpuCount: gpus,
    Status: 'SELL',
    StatusCategory: 'EnoughStock',
    Price: { UnitPrice: cny, UnitPriceDiscount: cny, ChargeUnit: 'HOUR', Discount: 100 },
    ...fields,
  }
}

export const nativePool = (
  NodePoolId: string,
  InstanceTypes: string[],
  given: Record<string, unknown> = {},
  fields: Record<string, unknown> = {},
) => ({
  ClusterId: cluster_id,
  NodePoolId,
  Name: NodePoolId,
  Type: 'Native',
  LifeState: 'Running',
  Unschedulable: false,
  Labels: null,
  Taints: null,
  ...fields,
  Native: {
    InstanceTypes,
    InstanceChargeType: 'POSTPAID_BY_HOUR',
    EnableAutoscaling: true,
    Replicas: 0,
    ReadyReplicas: 0,
    Scaling: { MinReplicas: 0, MaxReplicas: 4 },
    SystemDisk: { DiskType: 'CLOUD_PREMIUM', DiskSize: 100 },
    ...given,
  },
})

export async function openFakeTencent(kubeconfig = () => ''): Promise<FakeTencent> {
  const tencent = await openTencent({ cluster_id, region, kubeconfig })
  tencent.state.pools = [
    nativePool('np-gpu00001', ['GN7.2XLARGE32']),
    nativePool('np-gpu00002', ['GN10Xp.20XLARGE320', 'GN7.2XLARGE32'], { Replicas: 1, ReadyReplicas: 1 }),
    nativePool('np-cpu00001', ['S5.2XLARGE16'], { EnableAutoscaling: false, Replicas: 2, ReadyReplicas: 2 }),
  ]
  tencent.state.instances = [
    instance('GN7.2XLARGE32', { cpu: 8, memory: 32, gpus: 1, cny: 8.68 }),
    instance('GN7.2XLARGE32', { cpu: 8, memory: 32, gpus: 1, cny: 9.1, Zone: 'ap-guangzhou-7' }),
    instance('GN10Xp.20XLARGE320', { cpu: 80, memory: 320, gpus: 8, cny: 142 }),
    instance('S5.2XLARGE16', { cpu: 8, memory: 16, cny: 1.8 }),
  ]
  return tencent
}

export const tencentOptions = (
  { host }: Pick<FakeTencent, 'host'>,
  given: Partial<TencentProviderOptions> = {},
): TencentProviderOptions => ({
  account: 'desk',
  installation: '4q7k2m9x3vtb',
  secret_id: secretId,
  secret_key: secretKey,
  region,
  cluster_id,
  endpoint: 'public',
  namespace: 'berth',
  cny_per_usd: 7.1,
  clock: { now: () => new Date('2026-01-01T00:00:00Z') },
  api: { protocol: 'http://', host },
  ...given,
})

export const openProvider = (tencent: FakeTencent, given: Partial<TencentProviderOptions> = {}) =>
  createTencentProvider(tencentOptions(tencent, given))
