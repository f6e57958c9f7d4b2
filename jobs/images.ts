// The images of custom jobs, fixed when they are submitted: every attempt runs the same bytes, and the job says which.
import type { Deps } from './deps.ts'
import type { Refusal } from './errors.ts'
import { parseImage } from './kinds/image.ts'
import { registryOf } from './secrets.ts'
import type { JobSpec } from './spec.ts'
import type { Warning } from './store/schema.ts'

/** Images that one request has looked up: a desk submits a thousand jobs of one, and nobody calls a thousand registries. */
const mostImages = 20

type Answer = Awaited<ReturnType<Deps['resolve_image']>>
type Parsed = { spec: JobSpec } | { problem: Refusal }
export type Pinned = { spec: JobSpec; warnings?: Warning[] } | { problem: Refusal }

/**
 * The same specs with the digest in the place of each tag: `python:3.12` is `python:3.12@sha256:...` then. A job whose
 * registry does not tell is taken as it is, with a warning; one whose image is not there is refused.
 */
export async function pinImages(
  deps: Pick<Deps, 'db' | 'sealer' | 'resolve_image'>,
  project_id: string,
  parsed: readonly Parsed[],
): Promise<Pinned[]> {
  const asked = new Map<string, Promise<Answer>>()
  const answers = await Promise.all(
    parsed.map((each): Promise<Answer | null> => {
      const open = 'spec' in each ? openImage(each.spec) : null
      if (open === null) return Promise.resolve(null)
      const { name, spec } = open
      const known = asked.get(name)
      if (known) return known
      if (asked.size >= mostImages) return Promise.resolve(tooMany)
      const answer = registryOf(deps, { project_id, spec }).then((login) =>
        deps.resolve_image(spec.params.image, login),
      )
      asked.set(name, answer)
      return answer
    }),
  )
  return parsed.map((each, index) => {
    if (!('spec' in each)) return each
    const answer = answers[index] ?? null
    return answer === null ? each : pinned(each.spec, answer)
  })
}

export const namesTag = (each: Parsed): boolean => 'spec' in each && openImage(each.spec) !== null

type Custom = Extract<JobSpec, { kind: 'custom' }>

/** One whose digest is not known yet, by image and login; null: there is nothing to ask. */
function openImage(spec: JobSpec): { name: string; spec: Custom } | null {
  if (spec.kind !== 'custom' || parseImage(spec.params.image).digest !== null) return null
  return { name: `${spec.params.registry ?? ''} ${spec.params.image}`, spec }
}

const tooMany = { state: 'unread', why: `a request has at most ${mostImages} images looked up` } as const

function pinned(spec: JobSpec, answer: Answer): Pinned {
  if (spec.kind !== 'custom') return { spec }
  const { image } = spec.params
  if (answer.state === 'found') {
    const params = { ...spec.params, image: `${image}@${answer.digest}` }
    return { spec: { ...spec, params } }
  }
  if (answer.state === 'missing') {
    const errors = [{ path: 'params.image', message: `is not there: ${answer.why}` }]
    return {
      problem: { code: 'invalid_request', detail: `params.image is not there: ${answer.why}.`, errors },
    }
  }
  const message = `The digest of ${image} could not be read (${answer.why}): if the tag moves, a later attempt runs another image.`
  return { spec, warnings: [{ code: 'image_not_pinned', message }] }
}
