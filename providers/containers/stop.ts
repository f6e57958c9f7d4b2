// Ends the container of an attempt and removes what is left of it.

import { z } from 'zod'
import type { Engine } from './engine.ts'
import { labels } from './shape.ts'

const labelled = z.object({
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
})

/**
 * SIGTERM, the grace, SIGKILL, then the container and its volume go. May be repeated: what is gone already is what
 * was wanted. What does not belong to this installation is left alone.
 * @throws ProviderError
 */
export async function stopContainer(
  engine: Engine,
  { name, installation, grace_s }: { name: string; installation: string; grace_s: number },
  signal: AbortSignal,
): Promise<void> {
  if (await isOurs(engine, `/containers/${name}/json`, installation, signal)) {
    const stop = `/containers/${name}/stop?t=${grace_s}`
    // 304: it does not run; 404: it is gone; 409: it is on its way out.
    const extra_ms = grace_s * 1_000
    await done(engine, { method: 'POST', path: stop, extra_ms }, [204, 304, 404, 409], signal)
    const path = `/containers/${name}?force=true&v=true`
    await done(engine, { method: 'DELETE', path }, [204, 404, 409], signal)
  }
  if (await isOurs(engine, `/volumes/${name}`, installation, signal))
    await done(engine, { method: 'DELETE', path: `/volumes/${name}?force=true` }, [204, 404], signal)
}

async function isOurs(
  engine: Engine,
  path: string,
  installation: string,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await engine.call({ method: 'GET', path }, signal)
  if (answer.status === 404) return false
  const found = labelled.safeParse(answer.json)
  if (answer.status !== 200 || !found.success) throw engine.refusal({ method: 'POST' }, answer)
  const { Config, Labels } = found.data
  return (Config?.Labels ?? Labels)?.[labels.installation] === installation
}

async function done(
  engine: Engine,
  call: { method: 'POST' | 'DELETE'; path: string; extra_ms?: number },
  accepted: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const answer = await engine.call(call, signal)
  if (accepted.includes(answer.status)) return
  // Still in use: its container is on the way out.
  if (answer.status === 409) throw engine.failure('unknown_outcome', 'its volume is still in use')
  throw engine.refusal(call, answer)
}
