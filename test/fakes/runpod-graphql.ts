// RunPod's GraphQL API: the parts that are used, as a schema that runs. Types and fields are those of
// https://graphql-spec.runpod.io and of what runpod-python, dstack, gpuhunt and runpodctl ask; whatever else is refused.
import { buildSchema, graphqlSync, GraphQLError, parse, validate } from 'graphql'
import { bodies } from './runpod-recorded.ts'
import { type Cloud, type FakePod, type NewFakePod, Refused } from './runpod-cloud.ts'
import type { WireAnswer } from './wire.ts'

const schema = buildSchema(`
  scalar DateTime
  enum CloudTypeEnum { SECURE COMMUNITY ALL }
  enum PodStatus { CREATED RUNNING RESTARTING EXITED PAUSED DEAD TERMINATED }
  enum PodType { INTERRUPTABLE RESERVED BID BACKGROUND }
  input EnvironmentVariableInput { key: String!, value: String! }
  input PodFindAndDeployOnDemandInput {
    cloudType: CloudTypeEnum, containerDiskInGb: Int, containerRegistryAuthId: String, countryCode: String,
    dataCenterId: String, dockerArgs: String, env: [EnvironmentVariableInput], gpuCount: Int, gpuTypeId: String,
    imageName: String, minCudaVersion: String, minMemoryInGb: Int, minVcpuCount: Int, name: String, ports: String,
    startJupyter: Boolean, startSsh: Boolean, supportPublicIp: Boolean, terminateAfter: DateTime,
    volumeInGb: Int, volumeMountPath: String
  }
  input PodRentInterruptableInput {
    bidPerGpu: Float!, cloudType: CloudTypeEnum, containerDiskInGb: Int, containerRegistryAuthId: String,
    countryCode: String, dataCenterId: String, dockerArgs: String, env: [EnvironmentVariableInput], gpuCount: Int,
    gpuTypeId: String, imageName: String, minCudaVersion: String, minMemoryInGb: Int, minVcpuCount: Int, name: String,
    ports: String, startJupyter: Boolean, startSsh: Boolean, supportPublicIp: Boolean, terminateAfter: DateTime,
    volumeInGb: Int, volumeMountPath: String
  }
  input PodTerminateInput { podId: String! }
  input SaveRegistryAuthInput { name: String!, username: String!, password: String! }
  input GpuTypeFilter { id: String, ids: [String] }
  input GpuLowestPriceInput {
    gpuCount: Int, minDisk: Int, minMemoryInGb: Int, minVcpuCount: Int, secureCloud: Boolean, countryCode: String,
    dataCenterId: String, minCudaVersion: String, supportPublicIp: Boolean
  }
  type ContainerRegistryAuth { id: String, name: String }
  type LowestPrice {
    gpuTypeId: String, minimumBidPrice: Float, uninterruptablePrice: Float, minMemory: Int, minVcpu: Int,
    stockStatus: String
  }
  type GpuType {
    id: String, displayName: String, manufacturer: String, memoryInGb: Int, maxGpuCount: Int,
    maxGpuCountSecureCloud: Int, maxGpuCountCommunityCloud: Int, secureCloud: Boolean, communityCloud: Boolean,
    securePrice: Float, communityPrice: Float, secureSpotPrice: Float, communitySpotPrice: Float,
    lowestPrice(input: GpuLowestPriceInput): LowestPrice
  }
  type PodRuntime { uptimeInSeconds: Int }
  type Pod {
    id: String!, name: String, desiredStatus: PodStatus, podType: PodType, costPerHr: Float, createdAt: DateTime,
    env: [String], imageName: String, dockerArgs: String, gpuCount: Int, containerDiskInGb: Int, volumeInGb: Int,
    containerRegistryAuthId: String, uptimeSeconds: Int, runtime: PodRuntime
  }
  type User {
    id: String, clientBalance: Float, currentSpendPerHr: Float, spendLimit: Float, pods: [Pod],
    containerRegistryCreds: [ContainerRegistryAuth]
  }
  type Query { myself: User, gpuTypes(input: GpuTypeFilter): [GpuType] }
  type Void { nothing: String }
  type Mutation {
    podFindAndDeployOnDemand(input: PodFindAndDeployOnDemandInput): Pod
    podRentInterruptable(input: PodRentInterruptableInput!): Pod
    podTerminate(input: PodTerminateInput!): Boolean
    saveRegistryAuth(input: SaveRegistryAuthInput!): ContainerRegistryAuth
    deleteRegistryAuth(registryAuthId: String): Boolean
  }
`)

/** Whose key it is: the account's, or a pod's own, which may end its pod and reads nothing. */
export interface Caller {
  pod: string | null
}

export function answerGraphql(cloud: Cloud, text: string, caller: Caller): WireAnswer {
  const { query, variables, operationName } = JSON.parse(text) as {
    query: string
    variables?: Record<string, unknown>
    operationName?: string
  }
  let document
  try {
    document = parse(query)
  } catch (error) {
    return invalid([error as GraphQLError], 'GRAPHQL_PARSE_FAILED')
  }
  const wrong = validate(schema, document)
  if (wrong.length > 0) return invalid(wrong, 'GRAPHQL_VALIDATION_FAILED')
  const result = graphqlSync({
    schema,
    source: query,
    rootValue: rootOf(cloud, caller),
    ...(variables && { variableValues: variables }),
    ...(operationName !== undefined && { operationName }),
  })
  // Variables that do not fit their types are found before anything runs.
  if (result.data === undefined) return invalid(result.errors ?? [], 'BAD_USER_INPUT')
  return { status: 200, body: JSON.stringify(result) }
}

/** Apollo Server's way. */
const invalid = (errors: readonly GraphQLError[], code: string): WireAnswer => ({
  status: 400,
  body: JSON.stringify({
    errors: errors.map(({ message, locations }) => ({ message, locations, extensions: { code } })),
  }),
})

function rootOf(cloud: Cloud, { pod: own }: Caller) {
  const { state } = cloud
  const accountOnly = () => {
    if (own !== null) throw new GraphQLError('Unauthorized', { extensions: { code: 'UNAUTHORIZED' } })
  }
  return {
    myself: () => {
      accountOnly()
      return {
        id: 'user_2abc',
        clientBalance: state.balance,
        currentSpendPerHr: cloud.spend(),
        spendLimit: state.spend_limit,
        pods: () => cloud.seen().map((pod) => viewOf(cloud, pod)),
        containerRegistryCreds: () => state.registries.map(({ id, name }) => ({ id, name })),
      }
    },
    gpuTypes: () => state.gpus.map((gpu) => gpuTypeOf(cloud, gpu)),
    podFindAndDeployOnDemand: ({ input }: { input: Input }) => {
      accountOnly()
      return made(cloud, { ...input, bidPerGpu: null })
    },
    podRentInterruptable: ({ input }: { input: Input }) => {
      accountOnly()
      return made(cloud, input)
    },
    podTerminate: ({ input: { podId } }: { input: { podId: string } }) => {
      if (own !== null && own !== podId) throw refusalIn(bodies.graphql_no_pod)
      if (!cloud.terminate(podId)) throw refusalIn(bodies.graphql_no_pod)
      return null
    },
    saveRegistryAuth: ({ input }: { input: { name: string; username: string; password: string } }) => {
      accountOnly()
      return cloud.saveRegistry(input)
    },
    deleteRegistryAuth: ({ registryAuthId }: { registryAuthId: string }) => {
      accountOnly()
      const done = cloud.deleteRegistry(registryAuthId)
      // In which words it refuses was seen by nobody.
      if (done !== 'done') throw new GraphQLError(`Registry auth is ${done}`)
      return true
    },
  }
}

interface Input {
  name: string
  imageName: string
  dockerArgs?: string
  env?: { key: string; value: string }[]
  gpuTypeId: string
  gpuCount?: number
  cloudType?: 'SECURE' | 'COMMUNITY' | 'ALL'
  containerDiskInGb?: number
  volumeInGb?: number
  containerRegistryAuthId?: string
  dataCenterId?: string
  minVcpuCount?: number
  minMemoryInGb?: number
  bidPerGpu?: number | null
}

function made(cloud: Cloud, input: Input) {
  const asked: NewFakePod = {
    name: input.name,
    image: input.imageName,
    args: input.dockerArgs ?? '',
    env: Object.fromEntries((input.env ?? []).map(({ key, value }) => [key, value])),
    gpu_type: input.gpuTypeId,
    count: input.gpuCount ?? 1,
    cloud: input.cloudType === 'COMMUNITY' ? 'COMMUNITY' : 'SECURE',
    data_centers: input.dataCenterId === undefined ? [] : [input.dataCenterId],
    disk_gb: (input.containerDiskInGb ?? 10) + (input.volumeInGb ?? 0),
    registry: input.containerRegistryAuthId ?? null,
    bid: input.bidPerGpu ?? null,
    cpu: input.minVcpuCount ?? 1,
    ram: input.minMemoryInGb ?? 1,
  }
  try {
    return viewOf(cloud, cloud.create(asked))
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (error.refusal === 'no_stock') throw refusalIn(bodies.graphql_no_stock)
    if (error.refusal === 'bid') throw refusalIn(bodies.graphql_no_spot)
    // In which words it refuses the others was seen by nobody.
    throw refusalIn(bodies.graphql_wrong)
  }
}

function refusalIn({ body }: WireAnswer): GraphQLError {
  const [error] = (JSON.parse(body) as { errors: { message: string; extensions: { code: string } }[] }).errors
  return new GraphQLError(error?.message ?? '', { extensions: error?.extensions ?? {} })
}

function viewOf(cloud: Cloud, pod: FakePod) {
  const { id, name, created_ms, started_ms, env, end, bid } = pod
  const isRunning = cloud.isRunning(pod)
  return {
    id,
    name,
    desiredStatus: end === null ? 'RUNNING' : end.how === 'exited' ? 'EXITED' : 'TERMINATED',
    podType: bid === null ? 'RESERVED' : 'INTERRUPTABLE',
    costPerHr: end === null ? cloud.costOf(pod) : 0,
    createdAt: new Date(created_ms).toISOString(),
    env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    imageName: pod.image,
    dockerArgs: pod.args,
    runtime: isRunning ? { uptimeInSeconds: Math.floor((cloud.state.now_ms - started_ms) / 1_000) } : null,
  }
}

function gpuTypeOf(cloud: Cloud, gpu: Cloud['state']['gpus'][number]) {
  return {
    id: gpu.id,
    displayName: gpu.name,
    manufacturer: gpu.manufacturer,
    memoryInGb: gpu.memory,
    maxGpuCount: gpu.most,
    maxGpuCountSecureCloud: gpu.most,
    maxGpuCountCommunityCloud: gpu.community > 0 ? gpu.most : 0,
    securePrice: gpu.secure,
    communityPrice: gpu.community,
    lowestPrice: ({
      input = {},
    }: {
      input?: { gpuCount?: number; secureCloud?: boolean; dataCenterId?: string }
    }) => {
      const places =
        input.dataCenterId === undefined ? ['EU-RO-1', 'US-KS-2', 'CA-MTL-1'] : [input.dataCenterId]
      const count = input.gpuCount ?? 1
      const price = input.secureCloud === false ? gpu.community : gpu.secure
      const inStock = count <= gpu.most && price > 0 && places.some((each) => cloud.hasStock(gpu.id, each))
      // Out of stock, it tells neither CPUs nor memory: gpuhunt.
      return {
        gpuTypeId: gpu.id,
        uninterruptablePrice: price || null,
        minimumBidPrice: gpu.bid,
        stockStatus: inStock ? 'High' : null,
        minVcpu: inStock ? gpu.vcpu * count : null,
        minMemory: inStock ? gpu.ram * count : null,
      }
    },
  }
}
