// Shapes that the clouds really sell, for tests and measurements of placement. Names, memory and compute capability are
// the vendors' own. Prices are what was published for one region in 2026; where none was, and for the size of a
// machine that the vendor does not name, a usual value stands, and `assumed` says so.
import type { Offer } from '../../providers/provider.ts'

type Assumed = 'price' | 'machine'
export interface Shape extends Offer {
  assumed: readonly Assumed[]
}

type Row = [model: string, memory_gib: number, capability: string, usd: number, assumed?: 'price']

/** Pods with one GPU. Price lists of March 2026; what their machines have beside the GPU depends on the host. */
const runpod: Row[] = [
  ['NVIDIA GeForce RTX 3070', 8, '8.6', 0.13, 'price'],
  ['NVIDIA GeForce RTX 3080', 10, '8.6', 0.17, 'price'],
  ['NVIDIA GeForce RTX 3080 Ti', 12, '8.6', 0.18, 'price'],
  ['NVIDIA GeForce RTX 3090', 24, '8.6', 0.22],
  ['NVIDIA GeForce RTX 3090 Ti', 24, '8.6', 0.27, 'price'],
  ['NVIDIA GeForce RTX 4070 Ti', 12, '8.9', 0.19, 'price'],
  ['NVIDIA GeForce RTX 4080', 16, '8.9', 0.28, 'price'],
  ['NVIDIA GeForce RTX 4080 SUPER', 16, '8.9', 0.29, 'price'],
  ['NVIDIA GeForce RTX 4090', 24, '8.9', 0.34],
  ['NVIDIA GeForce RTX 5080', 16, '12.0', 0.39, 'price'],
  ['NVIDIA GeForce RTX 5090', 32, '12.0', 0.69],
  ['NVIDIA RTX A2000', 6, '8.6', 0.12, 'price'],
  ['NVIDIA RTX A4000', 16, '8.6', 0.17, 'price'],
  ['NVIDIA RTX A4500', 20, '8.6', 0.19, 'price'],
  ['NVIDIA RTX A5000', 24, '8.6', 0.26, 'price'],
  ['NVIDIA RTX A6000', 48, '8.6', 0.49, 'price'],
  ['NVIDIA RTX 2000 Ada Generation', 16, '8.9', 0.23, 'price'],
  ['NVIDIA RTX 4000 Ada Generation', 20, '8.9', 0.25, 'price'],
  ['NVIDIA RTX 4000 SFF Ada Generation', 20, '8.9', 0.26, 'price'],
  ['NVIDIA RTX 5000 Ada Generation', 32, '8.9', 0.65, 'price'],
  ['NVIDIA RTX 6000 Ada Generation', 48, '8.9', 0.74, 'price'],
  ['NVIDIA RTX PRO 4500 Blackwell', 32, '12.0', 0.64, 'price'],
  ['NVIDIA RTX PRO 6000 Blackwell Server Edition', 96, '12.0', 0.89],
  ['NVIDIA RTX PRO 6000 Blackwell Workstation Edition', 96, '12.0', 0.95, 'price'],
  ['NVIDIA L4', 24, '8.9', 0.44],
  ['NVIDIA L40', 48, '8.9', 0.69],
  ['NVIDIA L40S', 48, '8.9', 0.79],
  ['NVIDIA A30', 24, '8.0', 0.36, 'price'],
  ['NVIDIA A40', 48, '8.6', 0.44, 'price'],
  ['NVIDIA A100 80GB PCIe', 80, '8.0', 1.19],
  ['NVIDIA A100-SXM4-80GB', 80, '8.0', 1.39],
  ['NVIDIA H100 PCIe', 80, '9.0', 1.99],
  ['NVIDIA H100 80GB HBM3', 80, '9.0', 2.69],
  ['NVIDIA H100 NVL', 94, '9.0', 2.59, 'price'],
  ['NVIDIA H200', 141, '9.0', 3.59],
  ['NVIDIA H200 NVL', 143, '9.0', 3.39, 'price'],
  ['NVIDIA B200', 180, '10.0', 5.98],
  ['Tesla V100-PCIE-16GB', 16, '7.0', 0.19, 'price'],
  ['Tesla V100-SXM2-32GB', 32, '7.0', 0.29, 'price'],
]

type Machine = [
  name: string,
  model: string,
  gpus: number,
  memory_gib: number,
  capability: string,
  cpu: number,
  ram_gib: number,
  usd: number,
  assumed: readonly Assumed[],
]
const both = ['price', 'machine'] as const

/** EC2 behind Batch, us-east-1, on demand. */
const aws: Machine[] = [
  ['g4dn.xlarge', 'T4', 1, 16, '7.5', 4, 16, 0.526, both],
  ['g5.xlarge', 'A10G', 1, 24, '8.6', 4, 16, 1.006, ['machine']],
  ['g6.xlarge', 'L4', 1, 24, '8.9', 4, 16, 0.805, both],
  ['g6e.xlarge', 'L40S', 1, 48, '8.9', 4, 32, 1.861, both],
  ['g7e.2xlarge', 'RTX PRO Server 6000', 1, 96, '12.0', 8, 64, 3.36, both],
  ['p4d.24xlarge', 'A100', 8, 40, '8.0', 96, 1_152, 32.8, both],
  ['p4de.24xlarge', 'A100', 8, 80, '8.0', 96, 1_152, 40.97, both],
  ['p5.4xlarge', 'H100', 1, 80, '9.0', 16, 256, 6.88, both],
  ['p5.48xlarge', 'H100', 8, 80, '9.0', 192, 2_048, 98.3, both],
  ['p5en.48xlarge', 'H200', 8, 141, '9.0', 192, 2_048, 110, both],
]
/** Prices come from the account alone: none is published. */
const alibaba: Machine[] = [
  ['ecs.gn6i-c4g1.xlarge', 'NVIDIA T4', 1, 16, '7.5', 4, 15, 1.68, both],
  ['ecs.gn6v-c8g1.2xlarge', 'NVIDIA V100', 1, 16, '7.0', 8, 32, 3.78, both],
  ['ecs.gn6e-c12g1.3xlarge', 'NVIDIA V100', 1, 32, '7.0', 12, 92, 4.55, both],
  ['ecs.gn7i-c8g1.2xlarge', 'NVIDIA A10', 1, 24, '8.6', 8, 30, 1.41, both],
  ['ecs.gn7i-c16g1.4xlarge', 'NVIDIA A10', 1, 24, '8.6', 16, 60, 1.5, both],
  ['ecs.gn7i-c32g1.8xlarge', 'NVIDIA A10', 1, 24, '8.6', 32, 188, 1.8, both],
  ['ecs.gn7s-c8g1.2xlarge', 'NVIDIA A30', 1, 24, '8.0', 8, 60, 1.46, both],
  ['ecs.gn7e-c16g1.4xlarge', 'NVIDIA A100', 1, 80, '8.0', 16, 125, 4.9, both],
  ['ecs.gn8is.2xlarge', 'NVIDIA L20', 1, 48, '8.9', 8, 64, 1.9, both],
]
const tencent: Machine[] = [
  ['GN7.2XLARGE32', 'T4', 1, 16, '7.5', 8, 32, 1.12, both],
  ['GN10X.2XLARGE40', 'V100', 1, 32, '7.0', 8, 40, 1.34, both],
  ['PNV4.7XLARGE116', 'A10', 1, 24, '8.6', 28, 116, 1.6, both],
  ['GT4.4XLARGE96', 'A100', 1, 40, '8.0', 16, 96, 3.9, both],
  ['PNV5b.8XLARGE96', 'L20', 1, 48, '8.9', 32, 96, 1.7, both],
]
/** Pools of one's own, with a fixed number of nodes. */
const kubernetes: Machine[] = [
  ['rtx-5090', 'NVIDIA-GeForce-RTX-5090', 2, 32, '12.0', 32, 128, 0.6, both],
  ['l40s', 'NVIDIA-L40S', 4, 48, '8.9', 64, 512, 1.2, both],
]

const plain = { account: 'main', spot: false, available: null, slots: null, disk_gib: 200 }

function machine(provider: string, region: string, row: Machine): Shape {
  const [id, model, count, memory_gib, compute_capability, cpu, ram_gib, usd_per_hour, assumed] = row
  const gpu = { model, count, memory_gib, compute_capability }
  return { ...plain, provider, region, id, gpu, cpu, memory_gib: ram_gib, usd_per_hour, assumed }
}

/** Spot is 30 to 70 % cheaper: half, as a rule. */
const spot = (shape: Shape): Shape => ({
  ...shape,
  spot: true,
  usd_per_hour: shape.usd_per_hour / 2,
  assumed: ['price', ...shape.assumed.filter((each) => each !== 'price')],
})

const onDemand: Shape[] = [
  ...runpod.map(([id, memory_gib, compute_capability, usd_per_hour, assumed]) => ({
    ...plain,
    provider: 'runpod',
    region: 'EU-RO-1',
    id,
    gpu: { model: id, count: 1, memory_gib, compute_capability },
    cpu: 8,
    memory_gib: 32,
    usd_per_hour,
    assumed: [...(assumed ? [assumed] : []), 'machine' as const],
  })),
  ...aws.map((row) => machine('aws', 'us-east-1', row)),
  ...alibaba.map((row) => machine('alibaba', 'cn-hangzhou', row)),
  ...tencent.map((row) => machine('tencent', 'ap-guangzhou', row)),
  ...kubernetes.map((row) => ({ ...machine('kubernetes', 'dc-1', row), slots: 8 })),
]

/** All of them: on demand, spot at EC2, and a desk's own machine. */
export const shapes: readonly Shape[] = [
  ...onDemand,
  ...onDemand.filter(({ id }) => /^g[456]/.test(id)).map(spot),
  ...[null, 0, 1].map((n) => ({
    ...plain,
    provider: 'local',
    region: 'desk',
    id: n === null ? 'cpu' : `cuda:${n}`,
    gpu: n === null ? null : { model: 'RTX 4090', count: 1, memory_gib: 23.99, compute_capability: '8.9' },
    cpu: 16,
    memory_gib: 64,
    usd_per_hour: 0.5,
    slots: 4,
    assumed: both,
  })),
]
