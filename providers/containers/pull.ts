// Brings an image to the engine, and says what its registry meant.

import { z } from 'zod'
import type { ProviderError } from '../errors.ts'
import type { LaunchSecrets } from '../provider.ts'
import { type Answer, type Engine, failure, wordsOf } from './engine.ts'

/** What is wrong with the image itself: no engine can run it, and asking again changes nothing. */
export interface ImageProblem {
  detail: string
  /** As shells say it: 127 where the command is not in the image, 126 where it cannot be run. */
  exit_code: number | null
}

/** Longest silence of a registry: the engine tells of each layer twice a second. */
const quiet_ms = 120_000
const most_ms = 3_600_000

const reference = /^[a-z0-9][\w.\-/:@]{0,254}$/i

const line = z.object({
  error: z.string().optional(),
  errorDetail: z.object({ message: z.string() }).optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).nullish(),
})

/**
 * Makes sure that the image is there. Answers what is wrong with the image, or null.
 * @throws ProviderError `throttled` by the registry, `capacity` for a full disk, `unknown_outcome` where the registry
 * could not be reached: these are asked again.
 */
export async function ensureImage(
  engine: Engine,
  wanted: { image: string; pull: 'missing' | 'always'; registry: LaunchSecrets['registry'] },
  progress: (note: string) => void,
  signal: AbortSignal,
): Promise<ImageProblem | null> {
  const { image, pull, registry } = wanted
  if (!reference.test(image)) return { detail: 'the name of the image is not one', exit_code: null }
  if (pull === 'missing' || image.includes('@')) {
    const path = `/images/${image.split('/').map(encodeURIComponent).join('/')}/json`
    const found = await engine.call({ method: 'GET', path }, signal)
    if (found.status === 200) return null
  }
  progress('the image is being pulled')
  const layers = new Map<string, { current: number; total: number }>()
  let refused: string | null = null
  const answer = await engine.lines(
    {
      method: 'POST',
      path: `/images/create?fromImage=${encodeURIComponent(tagged(image))}`,
      headers: registry ? { 'x-registry-auth': credential(registry) } : {},
      extra_ms: most_ms,
    },
    {
      quiet_ms,
      each(text) {
        const said = line.safeParse(parsed(text)).data
        refused ??= said?.errorDetail?.message ?? said?.error ?? null
        const { current, total } = said?.progressDetail ?? {}
        if (said?.id && current !== undefined) layers.set(said.id, { current, total: total ?? current })
        if (layers.size > 0) progress(`the image is being pulled (${share(layers)})`)
      },
    },
    signal,
  )
  if (answer.status !== 200) return meaning(engine, image, answer.status, wordsOf(answer))
  return refused === null ? null : meaning(engine, image, null, oneLine(refused))
}

/** Without a tag engines bring all of them. */
function tagged(image: string): string {
  return image.includes('@') || image.slice(image.lastIndexOf('/') + 1).includes(':')
    ? image
    : `${image}:latest`
}

function credential(registry: NonNullable<LaunchSecrets['registry']>): string {
  const { server, username, password } = registry
  return Buffer.from(JSON.stringify({ username, password, serveraddress: server })).toString('base64url')
}

// Engines pass the words of a registry on, and those of the HTTP specification of registries are the same everywhere.
const throttled = /toomanyrequests|too many requests|rate limit/i
const full = /no space left on device/i
const unauthorized = /unauthorized|authentication required|access (to the resource is )?denied|no basic auth/i
const missing =
  /manifest unknown|name unknown|not found|no such image|does not exist|invalid reference|no matching manifest|no image found|unsupported|reading manifest/i

function meaning(engine: Engine, image: string, status: number | null, words: string): ImageProblem {
  const detail = `the image ${image} cannot be pulled: ${words || `the engine answered ${status}`}`
  const problem = (): ImageProblem => ({ detail, exit_code: null })
  if (status === 429 || throttled.test(words)) throw engine.failure('throttled', detail)
  if (full.test(words)) throw engine.failure('capacity', detail)
  if (unauthorized.test(words) || missing.test(words)) return problem()
  if (status === 400 || status === 401 || status === 403 || status === 404) return problem()
  throw engine.failure('unknown_outcome', detail)
}

function share(layers: Map<string, { current: number; total: number }>): string {
  const sum = { current: 0, total: 0 }
  for (const { current, total } of layers.values()) {
    sum.current += current
    sum.total += total
  }
  return `${Math.round(sum.current / 2 ** 20)} of ${Math.round(sum.total / 2 ** 20)} MiB`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 300)
}

/** What an engine means that has a container and cannot start it; null: it is not the image. */
export function commandProblem(answer: Answer): ImageProblem | null {
  const words = wordsOf(answer)
  if (!/exec|executable|entrypoint|invoke/i.test(words)) return null
  const detail = `the command cannot be run: ${words}`
  if (/not found|no such file/i.test(words)) return { detail, exit_code: 127 }
  if (/permission denied|exec format error|is a directory/i.test(words)) return { detail, exit_code: 126 }
  return null
}

/** What an engine means that cannot give a GPU; null: it is something else. */
export function gpuProblem(answer: Answer): ProviderError | null {
  const words = wordsOf(answer)
  return /device driver|cdi device|nvidia-container/i.test(words)
    ? failure('rejected', `the engine gives no GPUs (${words}): install the NVIDIA Container Toolkit`)
    : null
}
