// One pod for an attempt. RunPod gives two pods for two calls, so the pods are looked through by name before each one.
import type { Handle, LaunchRequest, LaunchSecrets } from '../provider.ts'
import type { ProviderError } from '../errors.ts'
import type { Api, NewPod, Pod, Standing } from './api.ts'
import { failure } from './errors.ts'
import { bidOf, type Shape, shapeOf } from './offers.ts'
import type { RunpodProviderOptions } from './options.ts'
import { startOf } from './start.ts'

export async function launch(
  api: Api,
  options: RunpodProviderOptions,
  request: LaunchRequest,
  secrets: LaunchSecrets,
  signal: AbortSignal,
): Promise<Handle> {
  const shape = shapeOf(request.offer)
  if (!shape) throw failure('rejected', 'the offer is of no GPU type: ask for the offers again')
  if (request.image === null) throw failure('rejected', 'no image is named')
  const { pods, standing } = await api.podsAndStanding(signal)
  const registry = secrets.registry ? await registryOf(api, request, secrets.registry, signal) : null
  const [first, ...rest] = podsOf(pods, request)
  if (first) {
    // Two can only be of a list that lagged for longer than it should; the second finds its attempt taken.
    for (const each of rest) await terminate(api, each.id, signal)
    return handleOf(first.id, registry)
  }
  mayStart(standing, request)
  const id = await api.create(newPod(request, request.image, secrets, shape, registry, options), signal)
  return handleOf(id, registry)
}

const handleOf = (pod: string, registry: string | null): Handle =>
  registry === null ? { pod } : { pod, registry }

/** What is ours and has the name of the attempt, the oldest first. */
export const podsOf = (
  pods: readonly Pod[],
  { name, installation }: Pick<LaunchRequest, 'name' | 'installation'>,
): Pod[] =>
  pods
    .filter((pod) => pod.name === name && pod.installation === installation)
    .toSorted((a, b) => (a.since ?? '').localeCompare(b.since ?? '') || a.id.localeCompare(b.id))

/** Not there is done. */
export async function terminate(api: Api, id: string, signal: AbortSignal): Promise<void> {
  try {
    await api.terminate(id, signal)
  } catch (error) {
    if ((error as ProviderError).code !== 'not_found') throw error
  }
}

/**
 * A pod needs an hour's worth of balance, and all of the account's together have a limit of spending an hour
 * (https://docs.runpod.io/pods/pricing). In which words GraphQL refuses without them is not known, so it is not asked.
 */
function mayStart(standing: Standing, { offer }: LaunchRequest): void {
  const { balance_usd, spend_usd_per_hour, spend_limit_usd_per_hour } = standing
  const price = offer.usd_per_hour
  if (balance_usd !== null && balance_usd < price)
    throw failure('balance', `the balance is less than an hour of ${offer.id}: add credit`)
  if (spend_limit_usd_per_hour === null || spend_usd_per_hour === null) return
  if (spend_limit_usd_per_hour > 0 && spend_usd_per_hour + price > spend_limit_usd_per_hour)
    throw failure('quota', `the limit of spending, ${spend_limit_usd_per_hour} USD an hour, is reached`)
}

/** Credentials have names alone: the whole installation is in it, for its first letters may be another's too. */
export const registryName = ({ name, installation }: Pick<LaunchRequest, 'name' | 'installation'>): string =>
  `${name}-${installation}`

async function registryOf(
  api: Api,
  request: LaunchRequest,
  { username, password }: NonNullable<LaunchSecrets['registry']>,
  signal: AbortSignal,
): Promise<string> {
  const name = registryName(request)
  const known = (await api.registries(signal)).find((each) => each.name === name)
  return known?.id ?? (await api.saveRegistry({ name, username, password }, signal))
}

function newPod(
  request: LaunchRequest,
  image: string,
  secrets: LaunchSecrets,
  { gpu_type, count, cloud, data_center }: Shape,
  registry: string | null,
  options: RunpodProviderOptions,
): NewPod {
  const { disk_gb } = options
  return {
    name: request.name,
    image,
    ...startOf(request, secrets, options),
    gpu_type,
    gpu_count: count,
    cloud,
    data_center,
    disk_gb,
    cpu: request.cpu,
    memory_gib: request.memory_gib,
    registry,
    bid: bidOf(request.offer, { gpu_type, count, cloud, data_center }, disk_gb),
  }
}
