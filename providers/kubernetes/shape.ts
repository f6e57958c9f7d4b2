// What an offer of a cluster is called, and which nodes it means. An id holds all that a launch needs.
import type { V1NodeSelectorTerm } from '@kubernetes/client-node'
import type { Offer } from '../provider.ts'

/** A part of a node, or a whole one. */
export interface Shape {
  /** The value of the label below; null: without a GPU. */
  product: string | null
  /** What a pod asks for: `nvidia.com/gpu`, `nvidia.com/mig-1g.10gb`. */
  resource: string | null
  gpus: number
  cpu: number
  memory_gib: number
  spot: boolean
}

/** GPU Feature Discovery's label of the model: "NVIDIA-H100-80GB-HBM3". */
export const productLabel = 'nvidia.com/gpu.product'
export const gpuResource = 'nvidia.com/gpu'
const vendor = 'nvidia.com/'

/** How clouds and node provisioners mark nodes that may be taken back. */
const spotLabels = [
  ['karpenter.sh/capacity-type', 'spot'],
  ['eks.amazonaws.com/capacityType', 'SPOT'],
  ['cloud.google.com/gke-spot', 'true'],
  ['kubernetes.azure.com/scalesetpriority', 'spot'],
] as const

export const isSpot = (labels: Readonly<Record<string, string>>): boolean =>
  spotLabels.some(([label, value]) => labels[label] === value)

/** `NVIDIA-H100-80GB-HBM3:gpu:1:16cpu:128gib`, `cpu:8cpu:32gib`. */
export function shapeId({ product, resource, gpus, cpu, memory_gib }: Shape): string {
  const gpu = product && resource ? [product, resource.slice(vendor.length), gpus] : ['cpu']
  return [...gpu, `${cpu}cpu`, `${memory_gib}gib`].join(':')
}

const pattern =
  /^(?:cpu|(?<product>[\w.-]{1,63}):(?<resource>gpu(?:\.shared)?|mig-[\w.-]{1,40}):(?<gpus>\d{1,3})):\d+cpu:\d+gib$/

/** Which nodes and GPUs an offer means; null: it is none of a cluster's nodes. */
export function placeOf(offer: Offer): Pick<Shape, 'product' | 'resource' | 'gpus' | 'spot'> | null {
  const groups = pattern.exec(offer.id)?.groups
  if (!groups) return null
  const { product = null, resource, gpus } = groups
  return {
    product,
    resource: resource ? `${vendor}${resource}` : null,
    gpus: Number(gpus ?? 0),
    spot: offer.spot,
  }
}

/** The nodes of an offer: any of these terms. */
export function nodeTerms({ product, spot }: Pick<Shape, 'product' | 'spot'>): V1NodeSelectorTerm[] {
  const model = product
    ? { key: productLabel, operator: 'In', values: [product] }
    : { key: productLabel, operator: 'DoesNotExist' }
  if (spot)
    return spotLabels.map(([key, value]) => ({
      matchExpressions: [model, { key, operator: 'In', values: [value] }],
    }))
  return [
    {
      matchExpressions: [
        model,
        ...spotLabels.map(([key, value]) => ({ key, operator: 'NotIn', values: [value] })),
      ],
    },
  ]
}
