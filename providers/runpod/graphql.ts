// RunPod's GraphQL API by graphql-request, which is loaded at the first call. Types: https://graphql-spec.runpod.io
import type { GraphQLClient } from 'graphql-request'
import { ProviderError } from '../errors.ts'
import type { Api, NewPod, Pod, Registry, Standing } from './api.ts'
import { type Asked, lost, refusal } from './errors.ts'
import { quotes } from './graphql-quotes.ts'
import { bounded, fetchWhole, headersOf, urlOf } from './http.ts'
import type { RunpodProviderOptions } from './options.ts'

const podFields = 'id name desiredStatus podType costPerHr createdAt env runtime { uptimeInSeconds }'
const podsQuery = `query Pods { myself { pods { ${podFields} } } }`
const standingQuery = `query PodsAndStanding {
  myself { clientBalance currentSpendPerHr spendLimit pods { ${podFields} } }
}`
const registriesQuery = 'query Registries { myself { containerRegistryCreds { id name } } }'
const deploy = `mutation Deploy($input: PodFindAndDeployOnDemandInput) {
  podFindAndDeployOnDemand(input: $input) { id }
}`
const rent = `mutation Rent($input: PodRentInterruptableInput!) { podRentInterruptable(input: $input) { id } }`
const terminate = 'mutation Terminate($input: PodTerminateInput!) { podTerminate(input: $input) }'
const saveRegistry = `mutation SaveRegistry($input: SaveRegistryAuthInput!) {
  saveRegistryAuth(input: $input) { id }
}`
const deleteRegistry = `mutation DeleteRegistry($registryAuthId: String!) {
  deleteRegistryAuth(registryAuthId: $registryAuthId)
}`

interface GqlPod {
  id: string
  name: string | null
  desiredStatus: string
  podType: string | null
  costPerHr: number | null
  createdAt: string | null
  env: (string | null)[] | null
  runtime: object | null
}

export type Ask = <Data>(
  what: string,
  document: string,
  variables: object,
  signal: AbortSignal,
  creates?: boolean,
) => Promise<Data>

export function openGraphql(options: RunpodProviderOptions): Api {
  let opened: Promise<GraphQLClient> | null = null
  const open = (): Promise<GraphQLClient> => (opened ??= load(options))
  const ask: Ask = async (what, document, variables, signal, creates = false) => {
    const asked: Asked = { api: 'graphql', what, mutates: document.startsWith('mutation'), creates }
    const bound = bounded(options, signal)
    try {
      signal.throwIfAborted()
      const client = await open()
      // It repeats nothing by itself.
      return await client.request({ document, variables, signal: bound })
    } catch (error) {
      throw failureOf(error, asked, bound)
    }
  }
  const myself = async <Data>(what: string, document: string, signal: AbortSignal): Promise<Data> => {
    const answer = await ask<{ myself: Data | null }>(what, document, {}, signal)
    if (!answer.myself) throw lost({ api: 'graphql', what, mutates: false }, 'the answer is empty')
    return answer.myself
  }
  return {
    name: 'graphql',
    async pods(signal) {
      return podsOf(await myself<{ pods: GqlPod[] | null }>('pods', podsQuery, signal))
    },
    async podsAndStanding(signal) {
      type Account = {
        pods: GqlPod[] | null
        clientBalance: number | null
        currentSpendPerHr: number | null
        spendLimit: number | null
      }
      const account = await myself<Account>('pods', standingQuery, signal)
      const standing: Standing = {
        balance_usd: account.clientBalance,
        spend_usd_per_hour: account.currentSpendPerHr,
        spend_limit_usd_per_hour: account.spendLimit,
      }
      return { pods: podsOf(account), standing }
    },
    create: (pod, signal) => create(ask, options, pod, signal),
    async terminate(podId, signal) {
      await ask('podTerminate', terminate, { input: { podId } }, signal)
    },
    async registries(signal) {
      type Account = { containerRegistryCreds: Registry[] | null }
      return (
        (await myself<Account>('containerRegistryCreds', registriesQuery, signal)).containerRegistryCreds ??
        []
      )
    },
    async saveRegistry(input, signal) {
      const what = 'saveRegistryAuth'
      const answer = await ask<{ saveRegistryAuth: { id: string } | null }>(
        what,
        saveRegistry,
        { input },
        signal,
      )
      return idOf(what, answer.saveRegistryAuth)
    },
    async deleteRegistry(registryAuthId, signal) {
      await ask('deleteRegistryAuth', deleteRegistry, { registryAuthId }, signal)
    },
    quotes: (signal, missing) => quotes(ask, options, signal, missing),
  }
}

async function load(options: RunpodProviderOptions): Promise<GraphQLClient> {
  const { GraphQLClient } = await import('graphql-request')
  return new GraphQLClient(urlOf(options, '/graphql'), { headers: headersOf(options), fetch: fetchWhole })
}

/** A ClientError holds the query, its variables and the whole answer, in its message too: none of it is passed on. */
function failureOf(error: unknown, asked: Asked, bound: AbortSignal): ProviderError {
  if (error instanceof ProviderError) return error
  if (bound.aborted) return lost(asked, 'no answer in time')
  const { response } = (error ?? {}) as { response?: { status?: unknown; errors?: unknown } }
  if (typeof response?.status !== 'number') return lost(asked, 'no answer that can be read')
  const errors = Array.isArray(response.errors) ? (response.errors as { message?: unknown }[]) : []
  return refusal(
    asked,
    response.status,
    errors.map(({ message }) => String(message)),
  )
}

const podsOf = ({ pods }: { pods: GqlPod[] | null }): Pod[] => (pods ?? []).map(podOf)

function podOf(pod: GqlPod): Pod {
  return {
    id: pod.id,
    name: pod.name ?? '',
    installation: installationIn(pod.env ?? []),
    state: stateOf(pod),
    interruptible: pod.podType === 'INTERRUPTABLE',
    usd_per_hour: pod.costPerHr ?? 0,
    since: pod.createdAt,
  }
}

/** Variables come as `NAME=value`. */
function installationIn(env: readonly (string | null)[]): string | null {
  const prefix = 'BERTH_INSTALLATION='
  return env.find((each) => each?.startsWith(prefix))?.slice(prefix.length) ?? null
}

/** `desiredStatus` is RUNNING from the start; a container that runs has a `runtime`. */
function stateOf({ desiredStatus, runtime }: GqlPod): Pod['state'] {
  switch (desiredStatus) {
    case 'RUNNING':
      return runtime ? 'running' : 'pending'
    case 'CREATED':
    case 'RESTARTING':
      return 'pending'
    case 'EXITED':
    case 'PAUSED':
      return 'exited'
    case 'DEAD':
      return 'failed'
    case 'TERMINATED':
      return 'terminated'
    default:
      return 'unknown'
  }
}

const gb_of_gib = 1024 ** 3 / 1e9

async function create(
  ask: Ask,
  { min_cuda }: RunpodProviderOptions,
  pod: NewPod,
  signal: AbortSignal,
): Promise<string> {
  const input = {
    name: pod.name,
    imageName: pod.image,
    dockerArgs: pod.args,
    env: Object.entries(pod.env).map(([key, value]) => ({ key, value })),
    gpuTypeId: pod.gpu_type,
    gpuCount: pod.gpu_count,
    cloudType: pod.cloud.toUpperCase(),
    containerDiskInGb: pod.disk_gb,
    // A volume would cost after the end, too.
    volumeInGb: 0,
    minVcpuCount: Math.ceil(pod.cpu),
    minMemoryInGb: Math.ceil(pod.memory_gib * gb_of_gib),
    supportPublicIp: false,
    startSsh: false,
    ...(pod.data_center !== null && { dataCenterId: pod.data_center }),
    ...(pod.registry !== null && { containerRegistryAuthId: pod.registry }),
    ...(min_cuda !== undefined && { minCudaVersion: min_cuda }),
    ...(pod.bid !== null && { bidPerGpu: pod.bid }),
  }
  if (pod.bid !== null) {
    const what = 'podRentInterruptable'
    const answer = await ask<{ podRentInterruptable: { id: string } | null }>(
      what,
      rent,
      { input },
      signal,
      true,
    )
    return idOf(what, answer.podRentInterruptable)
  }
  const what = 'podFindAndDeployOnDemand'
  const answer = await ask<{ podFindAndDeployOnDemand: { id: string } | null }>(
    what,
    deploy,
    { input },
    signal,
    true,
  )
  return idOf(what, answer.podFindAndDeployOnDemand)
}

function idOf(what: string, made: { id: string } | null): string {
  if (made && typeof made.id === 'string' && made.id !== '') return made.id
  throw lost({ api: 'graphql', what, mutates: true }, 'the answer names nothing')
}
