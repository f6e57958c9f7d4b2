// The steps from a request to a running container. Each may be repeated, by anybody, after a crash at any point: the
// names of the volume and the container are the attempt's own, and the engine gives each name once.

import { z } from 'zod'
import { ProviderError, type ProviderErrorCode } from '../errors.ts'
import type { LaunchRequest, LaunchSecrets } from '../provider.ts'
import { type Answer, type Engine, wordsOf } from './engine.ts'
import { commandProblem, ensureImage, gpuProblem, type ImageProblem } from './pull.ts'
import { archivePath, containerOf, type ContainerPolicy, foldersArchive, labels, labelsOf } from './shape.ts'

export interface LaunchPolicy extends ContainerPolicy {
  /**
   * `missing` takes an image that the engine has, whoever pulled it. `always` asks the registry each time, which keeps
   * a private image from those without its credential.
   */
  pull: 'missing' | 'always'
}

const container = z.object({
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }),
  State: z.object({ Status: z.string() }),
})
const volume = z.object({ Name: z.string(), Labels: z.record(z.string(), z.string()).nullish() })
/** Docker says `created`; podman has two more before a start. */
const unstarted = ['created', 'configured', 'initialized']

/**
 * `called_off` ends a pull at once; a call that makes something is waited for, so that a stop sees what it made.
 * @throws ProviderError without any secret in it
 */
export async function launchContainer(
  engine: Engine,
  given: { request: LaunchRequest & { image: string }; secrets: LaunchSecrets; policy: LaunchPolicy },
  note: (text: string) => void,
  called_off: AbortSignal,
): Promise<void> {
  try {
    await launch(engine, given, note, called_off)
  } catch (error) {
    if (!(error instanceof ProviderError)) throw engine.failure('unknown_outcome', 'the launch failed')
    throw engine.failure(error.code, without(error.detail, given.secrets))
  }
}

async function launch(
  engine: Engine,
  given: Parameters<typeof launchContainer>[1],
  note: (text: string) => void,
  called_off: AbortSignal,
): Promise<void> {
  const { request, secrets, policy } = given
  const signal = AbortSignal.any([]) // each call has its own bound
  const before = await findContainer(engine, request, signal)
  if (before === 'started') return
  if (before === null && (await makeVolume(engine, request, {}, signal)) === 'problem') return
  try {
    if (before === null) {
      const wanted = { image: request.image, pull: policy.pull, registry: secrets.registry }
      const problem = await ensureImage(engine, wanted, note, called_off)
      // A stop may have come while the image did, here or at another replica.
      if (called_off.aborted || !(await hasVolume(engine, request.name, signal)))
        throw engine.failure('unknown_outcome', 'it was stopped while it was launched')
      if (problem !== null) return await rememberProblem(engine, given, problem, signal)
      if ((await makeContainer(engine, given, signal)) === 'started') return
    }
    note('the container is being started')
    await startContainer(engine, given, signal)
  } catch (error) {
    // Nobody calls stop for what was refused. If this fails too, the orphan scan finds the volume.
    if (error instanceof ProviderError && refusals.includes(error.code))
      await engine.call({ method: 'DELETE', path: `/volumes/${request.name}` }, signal).catch(() => null)
    throw error
  }
}

const refusals: readonly ProviderErrorCode[] = ['rejected', 'unauthorized', 'capacity']

async function startContainer(
  engine: Engine,
  given: Parameters<typeof launchContainer>[1],
  signal: AbortSignal,
): Promise<void> {
  const { name } = given.request
  const path = `/containers/${name}/archive?path=${encodeURIComponent(archivePath)}`
  const put = await engine.call({ method: 'PUT', path, tar: foldersArchive() }, signal)
  if (put.status !== 200) throw missing(engine, put) ?? engine.refusal({ method: 'PUT' }, put)
  const call = { ...post, path: `/containers/${name}/start`, patience: startPatience }
  const started = await engine.call(call, signal)
  if (started.status === 204 || started.status === 304) return
  const lost = missing(engine, started)
  if (lost !== null) throw lost
  await startRefused(engine, given, started, signal)
}

/** A first start unpacks layers and, with a GPU, wakes its driver. */
const startPatience = 3

/** It was there a moment ago, or so the engine said: whether it is, is found out by the next launch. */
function missing(engine: Engine, answer: Answer): ProviderError | null {
  return answer.status === 404 && /no such container|no container with name/i.test(wordsOf(answer))
    ? engine.failure('unknown_outcome', 'the container is not there any more')
    : null
}

async function findContainer(
  engine: Engine,
  request: LaunchRequest,
  signal: AbortSignal,
): Promise<'started' | 'created' | null> {
  const answer = await engine.call({ method: 'GET', path: `/containers/${request.name}/json` }, signal)
  if (answer.status === 404) return null
  const found = container.safeParse(answer.json)
  if (answer.status !== 200 || !found.success) throw unreadable(engine, answer)
  checkOwner(engine, request, found.data.Config.Labels)
  return unstarted.includes(found.data.State.Status) ? 'created' : 'started'
}

async function makeContainer(
  engine: Engine,
  { request, secrets, policy }: Parameters<typeof launchContainer>[1],
  signal: AbortSignal,
): Promise<'created' | 'started'> {
  const path = `/containers/create?name=${request.name}`
  const answer = await engine.call(
    { method: 'POST', path, json: containerOf(request, secrets, policy), patience: startPatience },
    signal,
  )
  if (answer.status === 201) return 'created'
  // Docker answers 409, podman 500.
  if (answer.status === 409 || /already in use/i.test(wordsOf(answer)))
    return (await findContainer(engine, request, signal)) ?? Promise.reject(engine.refusal(post, answer))
  // The image has just been seen: somebody removed it meanwhile.
  if (answer.status === 404) throw engine.failure('unknown_outcome', 'the image is not there any more')
  throw gpuProblem(answer) ?? engine.refusal(post, answer)
}

const post = { method: 'POST' } as const

async function startRefused(
  engine: Engine,
  given: Parameters<typeof launchContainer>[1],
  answer: Answer,
  signal: AbortSignal,
): Promise<void> {
  const problem = commandProblem(answer)
  const refusal = gpuProblem(answer) ?? engine.refusal(post, answer)
  // What will never start must not keep the name.
  if (problem !== null || refusal.code === 'rejected') {
    const path = `/containers/${given.request.name}?force=true&v=true`
    await engine.call({ method: 'DELETE', path }, signal)
  }
  if (problem === null) throw refusal
  return rememberProblem(engine, given, problem, signal)
}

/** Labels of a volume are for its life, so the one with the problem takes the place of the other. */
async function rememberProblem(
  engine: Engine,
  { request, secrets }: Parameters<typeof launchContainer>[1],
  problem: ImageProblem,
  signal: AbortSignal,
): Promise<void> {
  const path = `/volumes/${request.name}?force=true`
  await engine.call({ method: 'DELETE', path }, signal)
  const said = {
    [labels.problem]: without(problem.detail, secrets),
    ...(problem.exit_code === null ? {} : { [labels.exit_code]: String(problem.exit_code) }),
  }
  await makeVolume(engine, request, said, signal)
}

async function makeVolume(
  engine: Engine,
  request: LaunchRequest,
  said: Record<string, string>,
  signal: AbortSignal,
): Promise<'ready' | 'problem'> {
  const json = { Name: request.name, Driver: 'local', Labels: { ...labelsOf(request), ...said } }
  const answer = await engine.call({ method: 'POST', path: '/volumes/create', json }, signal)
  if (answer.status !== 201 && answer.status !== 200) throw engine.refusal(post, answer)
  const made = volume.safeParse(answer.json)
  if (!made.success) throw unreadable(engine, answer)
  checkOwner(engine, request, made.data.Labels)
  return made.data.Labels?.[labels.problem] === undefined ? 'ready' : 'problem'
}

async function hasVolume(engine: Engine, name: string, signal: AbortSignal): Promise<boolean> {
  const answer = await engine.call({ method: 'GET', path: `/volumes/${name}` }, signal)
  return answer.status === 200
}

function checkOwner(
  engine: Engine,
  request: LaunchRequest,
  found: Record<string, string> | null | undefined,
) {
  if (found?.[labels.attempt] === request.attempt_id) return
  throw engine.failure('rejected', `something else on this engine has the name ${request.name}`)
}

function unreadable(engine: Engine, answer: Answer): ProviderError {
  return answer.status >= 400
    ? engine.refusal(post, answer)
    : engine.failure('unknown_outcome', 'the answer of the container engine cannot be read')
}

/** Engines repeat what they were given. */
function without(text: string, { token, registry }: LaunchSecrets): string {
  return [token, registry?.password ?? ''].reduce(
    (left, secret) => (secret === '' ? left : left.replaceAll(secret, '[masked]')),
    text,
  )
}
