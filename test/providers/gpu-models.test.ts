// The models of GPUs, by the names that clouds and people give them.
import { describe, expect, test } from 'vitest'
import { gpuModels } from '../../providers/gpu-models.ts'
import { gpuNamed } from '../../providers/gpus.ts'
import { speedOf } from '../../jobs/speeds.ts'
import { shapes } from '../support/shapes.ts'

const named = (name: string, memory_gib?: number) => {
  const found = gpuNamed(name, memory_gib)
  if (!found) throw new Error(`${name} is not known`)
  return found
}

test('every model has a name of its own, memory and figures', () => {
  expect(gpuModels.length).toBeGreaterThanOrEqual(50)
  expect(new Set(gpuModels.map(({ name }) => name)).size).toBe(gpuModels.length)
  for (const model of gpuModels) {
    expect(model.memory_gib.length, model.name).toBeGreaterThan(0)
    // No card counts faster in FP64 than in FP32, and none slower than 1/64 of it.
    expect(model.fp64_tflops, model.name).toBeLessThan(model.fp32_tflops)
    expect(model.fp64_tflops * 66, model.name).toBeGreaterThan(model.fp32_tflops)
    expect(model.bandwidth_gb_per_s, model.name).toBeGreaterThan(100)
    if (model.compute_capability !== null) expect(model.compute_capability).toMatch(/^\d+\.\d$/)
  }
})

test('every name that a cloud gives leads to its model, and to no other', () => {
  const names = gpuModels.flatMap((model) =>
    [model.name, ...Object.values(model.names).flat()].map((name) => ({ name, model: model.name })),
  )
  for (const { name, model } of names) expect(named(name).name, name).toBe(model)
})

test('every shape that is really sold is of a known model with that memory and capability', () => {
  for (const { gpu, id } of shapes) {
    if (!gpu) continue
    const model = named(gpu.model, gpu.memory_gib)
    if (gpu.compute_capability !== null)
      expect(model.compute_capability, `${id} ${gpu.model}`).toBe(gpu.compute_capability)
  }
})

describe('a name that does not say which kind', () => {
  test.for([
    ['A100', 80, 'A100 PCIe 80GB'],
    ['A100', 40, 'A100 40GB'],
    ['NVIDIA A100-SXM4-80GB', 80, 'A100 SXM 80GB'],
    ['H100', 80, 'H100 SXM'],
    ['H100 NVL', 94, 'H100 NVL'],
    ['V100', 16, 'V100 PCIe'],
    ['Tesla V100-SXM2-32GB', 32, 'V100 SXM'],
    ['H200', 141, 'H200 SXM'],
    ['NVIDIA GeForce RTX 4090', 24, 'RTX 4090'],
    ['A4000', 16, 'RTX A4000'],
    ['AMD Instinct MI300X OAM', 192, 'MI300X'],
  ] as const)('%s with %s GiB is a %s', ([name, memory_gib, model]) => {
    expect(named(name, memory_gib).name).toBe(model)
  })

  test.for(['RTX 4090 D', 'PPU 810E', 'NVIDIA X900', 'Ascend 910B', ''])('%s is unknown', (name) => {
    expect(gpuNamed(name)).toBeNull()
  })
})

test('which GPU is faster depends on the kind of work', () => {
  const [a100, rtx] = [named('A100', 80), named('RTX 4090')]
  // FP64 is what the RTX cards lack.
  expect(speedOf(a100, 'backtest') / speedOf(rtx, 'backtest')).toBeGreaterThan(2)
  expect(speedOf(rtx, 'custom')).toBeGreaterThan(speedOf(named('L4'), 'custom'))
  expect(speedOf(named('H100 SXM'), 'training')).toBeGreaterThan(speedOf(a100, 'training'))
})
