// Asking for the parts of an account (zones, data centers) on their own, so that one that hangs does not hide the others.
import type { MissingPart, Offer } from './provider.ts'

/** A vendor answers within seconds; a part is given up early enough for the others to be asked within the time that all have. */
export const part_ms = 8_000
/** Parts that are asked at once. */
const at_once = 4

export interface Part<Found> extends Pick<MissingPart, 'name' | 'has'> {
  ask: (signal: AbortSignal) => Promise<Found[]>
}

/** What the parts answer, in their order. Throws what the first says where all fail, or one does and nobody listens. */
export async function askParts<Found>(
  parts: readonly Part<Found>[],
  { signal, missing }: { signal: AbortSignal; missing: ((part: MissingPart) => void) | undefined },
): Promise<Found[]> {
  const answers: Found[][] = parts.map(() => [])
  const failed: { part: Part<Found>; error: unknown }[] = []
  const waiting = [...parts.entries()]
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, part] = next
      try {
        answers[index] = await part.ask(signal)
      } catch (error) {
        failed.push({ part, error })
        if (!missing) return
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(at_once, parts.length) }, lane))
  const [first] = failed
  if (first && (!missing || failed.length === parts.length)) throw first.error
  for (const { part, error } of failed) missing?.({ name: part.name, has: part.has, error })
  return answers.flat()
}

/** One call of a part: no longer than `part_ms`, or than the account's own bound of a call. */
export const callOfPart = (signal: AbortSignal, call_ms = part_ms): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(Math.min(call_ms, part_ms))])

export type OfPart = Pick<Offer, 'id' | 'region' | 'spot'>
