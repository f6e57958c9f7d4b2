// The models of GPUs that the clouds have: what each is, by which names it is known, and how fast it is beside the others.
// Plain data. A model that is not here is offered all the same, and shown as unknown.
//
// Sources. FP32, FP64 and bandwidth are the vendor's own figures of one GPU without tensor cores and without sparsity: NVIDIA's
// data sheet of the GPU, for GeForce cards the white papers of Ampere GA102, Ada and RTX Blackwell, for B200 and B300 an eighth of
// the HGX machine, for A10G the sheet that AWS publishes for G5, for MI300X AMD's data sheet. Where NVIDIA publishes no FP64 figure it
// is 1/64 of FP32 (compute capability 8.6, 8.9, 12.0) or 1/32 (6.1, 7.5), by the throughput table of the CUDA C++ Programming Guide.
// Compute capability: https://developer.nvidia.com/cuda-gpus. Names are the vendors' own, as docs/providers.md cites them: RunPod's are
// of https://docs.runpod.io/references/gpu-types, Kubernetes' are values of the label nvidia.com/gpu.product.

/** `rtx`: a card of the GeForce, RTX or RTX PRO lines; `data_centre`: one that is made for servers. */
export type GpuClass = 'rtx' | 'data_centre'
export type GpuCloud = 'alibaba' | 'aws' | 'kubernetes' | 'runpod' | 'tencent'

export interface GpuModel {
  /** As a job names it: `RTX 4090`. Unique. */
  name: string
  class: GpuClass
  /** Sizes that it is sold with, of one GPU. */
  memory_gib: readonly number[]
  /** null: it runs no CUDA. */
  compute_capability: string | null
  fp32_tflops: number
  fp64_tflops: number
  bandwidth_gb_per_s: number
  /** What each cloud calls it, beside its name. */
  names: Readonly<Partial<Record<GpuCloud, readonly string[]>>>
}

type Row = readonly [
  name: string,
  memory_gib: readonly number[],
  compute_capability: string | null,
  fp32_tflops: number,
  fp64_tflops: number,
  bandwidth_gb_per_s: number,
  names: GpuModel['names'],
]

const geforce = (id: string, more: GpuModel['names'] = {}) => ({ runpod: [`NVIDIA GeForce ${id}`], ...more })
const runpod = (...ids: string[]) => ({ runpod: ids.map((id) => `NVIDIA ${id}`) })
const alibaba = (id: string) => ({ alibaba: [`NVIDIA ${id}`] })

/** In the order of their generations. */
const rtx: readonly Row[] = [
  ['RTX 3070', [8], '8.6', 20.3, 0.317, 448, geforce('RTX 3070')],
  ['RTX 3080', [10, 12], '8.6', 29.8, 0.465, 760, geforce('RTX 3080')],
  ['RTX 3080 Ti', [12], '8.6', 34.1, 0.533, 912, geforce('RTX 3080 Ti')],
  ['RTX 3090', [24], '8.6', 35.6, 0.556, 936, geforce('RTX 3090')],
  ['RTX 3090 Ti', [24], '8.6', 40, 0.625, 1008, geforce('RTX 3090 Ti')],
  ['RTX A2000', [6, 12], '8.6', 8, 0.125, 288, runpod('RTX A2000')],
  ['RTX A4000', [16], '8.6', 19.2, 0.3, 448, runpod('RTX A4000')],
  ['RTX A4500', [20], '8.6', 23.7, 0.37, 640, runpod('RTX A4500')],
  ['RTX A5000', [24], '8.6', 27.8, 0.434, 768, runpod('RTX A5000')],
  ['RTX A6000', [48], '8.6', 38.7, 0.605, 768, runpod('RTX A6000')],
  ['RTX 4070 Ti', [12], '8.9', 40.1, 0.627, 504, geforce('RTX 4070 Ti')],
  ['RTX 4080', [16], '8.9', 48.7, 0.761, 717, geforce('RTX 4080')],
  ['RTX 4080 SUPER', [16], '8.9', 52.2, 0.816, 736, geforce('RTX 4080 SUPER')],
  [
    'RTX 4090',
    [24],
    '8.9',
    82.6,
    1.29,
    1008,
    geforce('RTX 4090', { kubernetes: ['NVIDIA-GeForce-RTX-4090'] }),
  ],
  ['RTX 2000 Ada', [16], '8.9', 12, 0.188, 224, runpod('RTX 2000 Ada Generation')],
  ['RTX 4000 Ada', [20], '8.9', 26.7, 0.417, 360, runpod('RTX 4000 Ada Generation')],
  ['RTX 4000 SFF Ada', [20], '8.9', 19.2, 0.3, 280, runpod('RTX 4000 SFF Ada Generation')],
  ['RTX 5000 Ada', [32], '8.9', 65.3, 1.02, 576, runpod('RTX 5000 Ada Generation')],
  ['RTX 6000 Ada', [48], '8.9', 91.1, 1.42, 960, runpod('RTX 6000 Ada Generation')],
  ['RTX 5080', [16], '12.0', 56.3, 0.88, 960, geforce('RTX 5080')],
  [
    'RTX 5090',
    [32],
    '12.0',
    104.8,
    1.64,
    1792,
    geforce('RTX 5090', { kubernetes: ['NVIDIA-GeForce-RTX-5090'] }),
  ],
  [
    'RTX PRO 4500',
    [32],
    '12.0',
    54.9,
    0.858,
    896,
    { ...runpod('RTX PRO 4500 Blackwell'), aws: ['RTX PRO 4500'] },
  ],
  // Figures of the Server Edition, the slowest of the three.
  [
    'RTX PRO 6000',
    [96],
    '12.0',
    120,
    1.88,
    1597,
    {
      ...runpod(
        'RTX PRO 6000 Blackwell Server Edition',
        'RTX PRO 6000 Blackwell Workstation Edition',
        'RTX PRO 6000 Blackwell Max-Q Workstation Edition',
      ),
      aws: ['RTX PRO Server 6000'],
    },
  ],
]

/** Of one model's kinds the slowest comes first: it is meant where a name does not say which. */
const dataCentre: readonly Row[] = [
  ['P4', [8], '6.1', 5.5, 0.172, 192, alibaba('P4')],
  ['P40', [24], '6.1', 12, 0.375, 346, { tencent: ['GN8'] }],
  ['P100', [16], '6.0', 9.3, 4.7, 732, alibaba('P100')],
  [
    'V100 PCIe',
    [16, 32],
    '7.0',
    14,
    7,
    900,
    { runpod: ['Tesla V100-PCIE-16GB'], ...alibaba('V100'), tencent: ['GN10X', 'GN10Xp', 'V100'] },
  ],
  ['V100 SXM', [16, 32], '7.0', 15.7, 7.8, 900, { runpod: ['Tesla V100-SXM2-16GB', 'Tesla V100-SXM2-32GB'] }],
  [
    'T4',
    [16],
    '7.5',
    8.1,
    0.253,
    320,
    { ...alibaba('T4'), aws: ['T4'], kubernetes: ['Tesla-T4', 'NVIDIA-Tesla-T4'], tencent: ['GN7', 'GN7vw'] },
  ],
  ['A10', [24], '8.6', 31.2, 0.488, 600, { ...alibaba('A10'), tencent: ['GNV4', 'PNV4'] }],
  ['A10G', [24], '8.6', 35, 0.547, 600, { aws: ['A10G'] }],
  ['A16', [16], '8.6', 4.5, 0.07, 200, {}],
  ['A30', [24], '8.0', 10.3, 5.2, 933, { ...runpod('A30'), ...alibaba('A30') }],
  ['A40', [48], '8.6', 37.4, 0.584, 696, runpod('A40')],
  ['A100 40GB', [40], '8.0', 19.5, 9.7, 1555, { aws: ['A100'], tencent: ['GT4'] }],
  [
    'A100 PCIe 80GB',
    [80],
    '8.0',
    19.5,
    9.7,
    1935,
    { ...runpod('A100 80GB PCIe'), ...alibaba('A100'), kubernetes: ['NVIDIA-A100-80GB-PCIe'] },
  ],
  ['A100 SXM 80GB', [80], '8.0', 19.5, 9.7, 2039, runpod('A100-SXM4-80GB')],
  ['A800', [80], '8.0', 19.5, 9.7, 1935, alibaba('A800')],
  ['L4', [24], '8.9', 30.3, 0.473, 300, { ...runpod('L4'), ...alibaba('L4'), aws: ['L4'] }],
  ['L20', [48], '8.9', 59.8, 0.934, 864, { ...alibaba('L20'), tencent: ['PNV5b'] }],
  ['L40', [48], '8.9', 90.5, 1.41, 864, runpod('L40')],
  ['L40S', [48], '8.9', 91.6, 1.43, 864, { ...runpod('L40S'), ...alibaba('L40S'), aws: ['L40S'] }],
  ['H20', [96, 141], '9.0', 44, 1, 4000, alibaba('H20')],
  ['H100 PCIe', [80], '9.0', 51, 26, 2000, runpod('H100 PCIe')],
  ['H100 NVL', [94], '9.0', 60, 30, 3900, runpod('H100 NVL')],
  [
    'H100 SXM',
    [80],
    '9.0',
    67,
    34,
    3350,
    { ...runpod('H100 80GB HBM3'), aws: ['H100'], kubernetes: ['NVIDIA-H100-80GB-HBM3'] },
  ],
  ['H800', [80], '9.0', 51, 0.8, 2000, alibaba('H800')],
  ['H200 NVL', [141, 143], '9.0', 60, 30, 4800, runpod('H200 NVL')],
  ['H200 SXM', [141], '9.0', 67, 34, 4800, { ...runpod('H200'), ...alibaba('H200'), aws: ['H200'] }],
  ['GH200', [96], '9.0', 67, 34, 4000, {}],
  ['B200', [180, 192], '10.0', 75, 37, 7700, runpod('B200')],
  ['B300', [288], '10.3', 75, 1.2, 8000, { ...runpod('B300 SXM6 AC'), kubernetes: ['NVIDIA-B300-SXM6-AC'] }],
  ['MI300X', [192], null, 163.4, 81.7, 5300, { runpod: ['AMD Instinct MI300X OAM'] }],
]

const modelsOf = (of: GpuClass, rows: readonly Row[]): GpuModel[] =>
  rows.map(([name, memory_gib, compute_capability, fp32_tflops, fp64_tflops, bandwidth_gb_per_s, names]) => ({
    name,
    class: of,
    memory_gib,
    compute_capability,
    fp32_tflops,
    fp64_tflops,
    bandwidth_gb_per_s,
    names,
  }))

export const gpuModels: readonly GpuModel[] = [
  ...modelsOf('rtx', rtx),
  ...modelsOf('data_centre', dataCentre),
]
