// What durations are remembered by.
import { gpuNamed } from '../providers/gpus.ts'
import type { Offer } from '../providers/provider.ts'

/**
 * Of work with one signature: mean seconds from launch to end by historyKey, and, by gpuKey, from the runner's first word to the end of
 * what used a GPU of one model.
 */
export type History = ReadonlyMap<string, number>

export const gpuPrefix = 'gpu:'
/** What an attempt that used this GPU is remembered by; null: nobody knows how fast it is. */
export function gpuKey(gpu: Offer['gpu']): string | null {
  const known = gpu && isWhole(gpu) ? gpuNamed(gpu.model) : null
  return known && `${gpuPrefix}${known.name}`
}

/** A slice of a GPU is as slow as whoever cut it wants it. */
export const isWhole = ({ model }: Pick<NonNullable<Offer['gpu']>, 'model'>) => !/\bmig\b/i.test(model)

/** The GPUs of one machine foretell each other: else the one that once was faster by chance would be taken ever after. */
export const historyKey = (provider: string, account: string, offer: string): string =>
  `${provider}/${account}/${offer.replace(/^cuda:\d+$/, 'cuda')}`
