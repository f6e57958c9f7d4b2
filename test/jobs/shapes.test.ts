// Where work goes among shapes that are really sold.
import { describe, expect, test } from 'vitest'
import { catalogueOf } from '../../jobs/catalogue.ts'
import { isModel, modelOf } from '../../providers/gpus.ts'
import { type Market, place, type Wanted } from '../../jobs/place.ts'
import { jobSpec } from '../../jobs/spec.ts'
import { shapes } from '../support/shapes.ts'
import { backtest } from '../support/world.ts'

/** An hour of work wherever it runs, so that the cheapest hour is the cheapest job. */
const market: Market = {
  load: () => 0,
  refused: () => null,
  limited: () => false,
  expected_s: () => 3_600,
  basis: () => 'model',
  min_billing_s: () => 0,
}
const catalogue = catalogueOf(shapes)

function wanted(more: Record<string, unknown>, rest: Partial<Wanted> = {}): Wanted {
  const { kind, resources, placement } = jobSpec.parse(backtest(more))
  const none = {
    policy: null,
    unfit: () => null,
    excluded_providers: [],
    budget_micros: null,
    deadline_s: null,
  }
  return { kind, resources, placement, ...none, ...rest }
}
const best = (want: Wanted, count = 3) =>
  place(want, catalogue, market)
    .ranked.slice(0, count)
    .map(({ offer: { provider, id } }) => `${provider} ${id.replace(/^NVIDIA (GeForce )?/, '')}`)
const gpu = (of: object, more: object = {}) => ({ resources: { gpu: of, ...more } })

test('sixty shapes and more, each known once', () => {
  expect(shapes.length).toBeGreaterThanOrEqual(60)
  expect(new Set(catalogue.map(({ name }) => name)).size).toBe(shapes.length)
})

const table: [string, Wanted, string[]][] = [
  [
    'no GPU where it costs the same',
    wanted({ placement: { providers: ['local'] } }),
    ['local cpu', 'local cuda:0', 'local cuda:1'],
  ],
  ['no GPU at all', wanted({ resources: { device: 'cpu' } }), ['local cpu']],
  ['any GPU', wanted(gpu({})), ['runpod RTX A2000', 'runpod RTX 3070', 'runpod RTX 3080']],
  ['24 GiB', wanted(gpu({ memory_gib: 24 })), ['runpod RTX 3090', 'runpod RTX A5000', 'runpod RTX 3090 Ti']],
  [
    '24 GiB where the driver shows 23.99',
    wanted({ ...gpu({ memory_gib: 24 }), placement: { regions: ['desk'] } }),
    ['local cuda:0', 'local cuda:1'],
  ],
  ['25 GiB there', wanted({ ...gpu({ memory_gib: 25 }), placement: { regions: ['desk'] } }), []],
  ['a 4090', wanted(gpu({ models: ['RTX 4090'] })), ['runpod RTX 4090', 'local cuda:0', 'local cuda:1']],
  [
    'Ada with 24 GiB',
    wanted({ ...gpu({ memory_gib: 24, compute_capability: '8.9' }), placement: { spot: 'never' } }),
    ['runpod RTX 4090', 'runpod L4', 'local cuda:0'],
  ],
  [
    'Blackwell',
    wanted(gpu({ compute_capability: '12.0' })),
    ['runpod RTX 5080', 'kubernetes rtx-5090', 'runpod RTX PRO 4500 Blackwell'],
  ],
  ['48 GiB', wanted(gpu({ memory_gib: 48 })), ['runpod A40', 'runpod RTX A6000', 'runpod L40']],
  [
    '80 GiB',
    wanted(gpu({ memory_gib: 80 })),
    [
      'runpod RTX PRO 6000 Blackwell Server Edition',
      'runpod RTX PRO 6000 Blackwell Workstation Edition',
      'runpod A100 80GB PCIe',
    ],
  ],
  [
    'an A100, whatever it is called',
    wanted(gpu({ models: ['A100'] })),
    ['runpod A100 80GB PCIe', 'runpod A100-SXM4-80GB', 'tencent GT4.4XLARGE96'],
  ],
  ['an A100 with SXM', wanted(gpu({ models: ['A100 SXM'] })), ['runpod A100-SXM4-80GB']],
  [
    'an A100 with 80 GB',
    wanted(gpu({ models: ['A100 80GB'], count: 1 })),
    ['runpod A100 80GB PCIe', 'runpod A100-SXM4-80GB', 'alibaba ecs.gn7e-c16g1.4xlarge'],
  ],
  ['eight GPUs', wanted(gpu({ count: 8 })), ['aws p4d.24xlarge', 'aws p4de.24xlarge', 'aws p5.48xlarge']],
  ['four GPUs', wanted(gpu({ count: 4 })), ['kubernetes l40s', 'aws p4d.24xlarge', 'aws p4de.24xlarge']],
  ['an H200', wanted(gpu({ models: ['H200'] })), ['runpod H200 NVL', 'runpod H200', 'aws p5en.48xlarge']],
  [
    'spot alone',
    wanted({ ...gpu({}), placement: { spot: 'only' } }),
    ['aws g4dn.xlarge', 'aws g6.xlarge', 'aws g5.xlarge'],
  ],
  [
    'one provider',
    wanted({ ...gpu({ memory_gib: 24 }), placement: { providers: ['alibaba'] } }),
    ['alibaba ecs.gn7i-c8g1.2xlarge', 'alibaba ecs.gn7s-c8g1.2xlarge', 'alibaba ecs.gn7i-c16g1.4xlarge'],
  ],
  [
    'one region',
    wanted({ ...gpu({ memory_gib: 48 }), placement: { regions: ['ap-guangzhou'] } }),
    ['tencent PNV5b.8XLARGE96'],
  ],
  [
    'many cores beside the GPU',
    wanted(gpu({ memory_gib: 24 }, { cpu: 28 })),
    ['kubernetes rtx-5090', 'kubernetes l40s', 'tencent PNV4.7XLARGE116'],
  ],
  [
    'much memory beside the GPU',
    wanted(gpu({}, { memory_gib: 500 })),
    ['kubernetes l40s', 'aws p4d.24xlarge', 'aws p4de.24xlarge'],
  ],
  [
    'a highest price',
    wanted({ ...gpu({ memory_gib: 24 }), placement: { max_usd_per_hour: 0.25 } }),
    ['runpod RTX 3090'],
  ],
  [
    'a policy',
    wanted(gpu({ memory_gib: 24 }), { policy: { providers: ['aws', 'tencent'], spot: 'never' } }),
    ['aws g6.xlarge', 'aws g5.xlarge', 'tencent GN10X.2XLARGE40'],
  ],
  [
    'a provider that refused it',
    wanted(gpu({ memory_gib: 141 }), { excluded_providers: ['runpod'] }),
    ['aws p5en.48xlarge'],
  ],
  ['a GPU that nobody has', wanted(gpu({ memory_gib: 400 })), []],
  ['cuda:1', wanted({ resources: { device: 'cuda:1' } }), ['local cuda:1']],
  [
    'training',
    {
      ...wanted({ resources: { device: 'cuda' }, placement: { max_usd_per_hour: 0.17 } }),
      kind: 'training' as never,
    },
    ['runpod RTX A2000', 'runpod RTX 3070', 'runpod RTX A4000'],
  ],
  [
    'training where two cost the same',
    {
      ...wanted({ resources: { gpu: { memory_gib: 8 } }, placement: { max_usd_per_hour: 0.175 } }),
      kind: 'training' as never,
    },
    ['runpod RTX 3070', 'runpod RTX A4000', 'runpod RTX 3080'],
  ],
]

test.for(table)('%s', ([, want, expected]) => {
  expect(best(want, Math.max(expected.length, 1))).toEqual(expected)
})

describe('names of GPUs', () => {
  test.for([
    ['RTX 4090', 'NVIDIA GeForce RTX 4090'],
    ['rtx4090', 'NVIDIA-GeForce-RTX-4090-SHARED'],
    ['A4000', 'NVIDIA RTX A4000'],
    ['RTX 6000 Ada', 'NVIDIA RTX 6000 Ada Generation'],
    ['RTX PRO 6000', 'NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition'],
    ['RTX PRO 6000', 'RTX PRO Server 6000'],
    ['H100', 'NVIDIA H100 80GB HBM3'],
    ['T4', 'NVIDIA-Tesla-T4'],
    ['V100', 'Tesla V100-PCIE-16GB'],
    ['V100 16GB', 'Tesla V100-PCIE-16GB'],
    ['B300', 'NVIDIA B300 SXM6 AC'],
  ] as const)('%s is %s', ([asked, name]) => {
    expect(isModel(modelOf(asked), modelOf(name))).toBe(true)
  })

  test.for([
    ['RTX 4090', 'NVIDIA GeForce RTX 3090'],
    ['RTX 4080', 'NVIDIA GeForce RTX 4080 SUPER'],
    ['A10', 'NVIDIA A100 80GB PCIe'],
    ['A100 PCIe', 'NVIDIA A100-SXM4-80GB'],
    ['V100 32GB', 'Tesla V100-PCIE-16GB'],
    ['RTX 6000', 'NVIDIA RTX 6000 Ada Generation'],
    ['L4', 'NVIDIA L40S'],
  ] as const)('%s is not %s', ([asked, name]) => {
    expect(isModel(modelOf(asked), modelOf(name))).toBe(false)
  })
})
