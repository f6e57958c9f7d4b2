// How fast GPUs are beside each other, by kind of work: for durations where the same work has run on another model. Pure.
import type { GpuModel } from '../providers/gpu-models.ts'
import type { JobSpec } from './spec.ts'

/**
 * What the time of a kind is spent on, as shares. An assumption from what each program does, not a measurement: a backtest keeps its
 * accounts in FP64 and reads its indicator tables, trees of a training read histograms more than they count, and of images of other
 * people nobody knows. History of the same model comes before all of it.
 */
const shares: Record<JobSpec['kind'], { fp64: number; fp32: number; bandwidth: number }> = {
  backtest: { fp64: 0.5, fp32: 0, bandwidth: 0.5 },
  training: { fp64: 0, fp32: 0.3, bandwidth: 0.7 },
  custom: { fp64: 0, fp32: 0.5, bandwidth: 0.5 },
}

/** Relative to one TFLOPS and one TB/s: only quotients of two of them mean something. */
export function speedOf(gpu: GpuModel, kind: JobSpec['kind']): number {
  const { fp64, fp32, bandwidth } = shares[kind]
  return 1 / (fp64 / gpu.fp64_tflops + fp32 / gpu.fp32_tflops + (bandwidth * 1_000) / gpu.bandwidth_gb_per_s)
}
