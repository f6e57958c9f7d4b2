// Pods on super nodes: each is a machine of its own, billed by the second while it runs, and nobody keeps nodes. Their sizes and
// prices are the account's to name, because no API tells them. Annotations: https://cloud.tencent.com/document/product/457/44173
import type { V1Job } from '@kubernetes/client-node'
import type { LaunchRequest, Offer } from '../provider.ts'
import type { FamilyGpu, SuperShape, TencentProviderOptions } from './options.ts'
import { inUsd } from './offers.ts'
import { cardOf } from './shape.ts'

const prefix = 'eks.tke.cloud.tencent.com/'
/** What a pod has beside its image without being asked for, and without a price. */
const disk_gib = 20

/** https://cloud.tencent.com/document/product/457/39808 */
const gpus: Readonly<Record<string, FamilyGpu>> = {
  T4: cardOf('T4', 16),
  V100: cardOf('V100', 32),
  'A10*GNV4': cardOf('A10', 24),
  'A10*PNV4': cardOf('A10', 24),
}

/** `super/T4/1`, `super/cpu/0`; the size is in the offer. */
const idOf = ({ gpu_type, gpus: count, cpu, memory_gib }: SuperShape): string =>
  `super/${gpu_type ?? 'cpu'}/${gpu_type ? (count ?? 1) : 0}/${cpu}cpu/${memory_gib}gib`

/** The `gpu-type` that an offer means; null: without a GPU; undefined: it is none of a super node. */
export function gpuTypeOf({ id }: Pick<Offer, 'id'>): string | null | undefined {
  const type = /^super\/([\w*]{1,40})\/\d{1,2}\/[\d.]+cpu\/[\d.]+gib$/.exec(id)?.[1]
  return type === 'cpu' ? null : type
}

export function superOffers(
  { account, region, cny_per_usd, super_nodes = [] }: TencentProviderOptions,
  hasNodes: boolean,
): Offer[] {
  return super_nodes.map((shape) => {
    const { gpu_type = null, gpu, cpu, memory_gib, cny_per_hour, prices_at = null, spot = false } = shape
    // A type that nobody has named is called as the annotation has it, and its memory is not told (0).
    const card = gpu_type === null ? null : (gpu ?? gpus[gpu_type] ?? cardOf(gpu_type, 0))
    return {
      id: idOf(shape),
      provider: 'tencent',
      account,
      region,
      spot,
      ...inUsd(cny_per_usd, cny_per_hour, { source: "the account's price of the size", at: prices_at }),
      gpu: card && { ...card, count: shape.gpus ?? 1 },
      cpu,
      memory_gib,
      disk_gib,
      available: hasNodes ? null : 0,
      slots: null,
    }
  })
}

/** The size of the offer, whatever the work asks for: it is what the price is of. */
export function placeOnSuperNode(job: V1Job, { offer }: LaunchRequest): V1Job {
  const template = job.spec?.template
  const spec = template?.spec
  const type = gpuTypeOf(offer)
  if (!template || !spec || type === undefined) return job
  template.metadata = template.metadata ?? {}
  template.metadata.annotations = {
    ...template.metadata.annotations,
    [`${prefix}cpu`]: String(offer.cpu),
    [`${prefix}mem`]: `${offer.memory_gib}Gi`,
    ...(type !== null && {
      [`${prefix}gpu-type`]: type,
      [`${prefix}gpu-count`]: String(offer.gpu?.count ?? 1),
    }),
    ...(offer.spot && { [`${prefix}spot-pod`]: 'true' }),
  }
  spec.nodeSelector = { ...spec.nodeSelector, 'node.kubernetes.io/instance-type': 'eklet' }
  spec.tolerations = [
    ...(spec.tolerations ?? []),
    { key: `${prefix}eklet`, operator: 'Exists', effect: 'NoSchedule' },
  ]
  return job
}
