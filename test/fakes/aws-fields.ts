// What each action of AWS Batch takes, as its API reference says; `!`: it has to be there.
import { Refused } from './aws-wire.ts'

export type Fields = Record<string, unknown>
type Shape = { readonly [field: string]: true | Shape | readonly [Shape] }

const resource = [{ 'type!': true, 'value!': true }] as const
const pair = [{ name: true, value: true }] as const
const paging = { maxResults: true, nextToken: true } as const
const retries = { attempts: true, evaluateOnExit: true } as const

const actions: Readonly<Record<string, Shape>> = {
  DescribeJobQueues: { jobQueues: true, ...paging },
  DescribeComputeEnvironments: { computeEnvironments: true, ...paging },
  DescribeJobDefinitions: { jobDefinitions: true, jobDefinitionName: true, status: true, ...paging },
  RegisterJobDefinition: {
    'jobDefinitionName!': true,
    'type!': true,
    platformCapabilities: true,
    parameters: true,
    schedulingPriority: true,
    propagateTags: true,
    tags: true,
    timeout: { attemptDurationSeconds: true },
    retryStrategy: retries,
    containerProperties: {
      image: true,
      command: true,
      jobRoleArn: true,
      executionRoleArn: true,
      volumes: true,
      mountPoints: true,
      environment: pair,
      readonlyRootFilesystem: true,
      privileged: true,
      ulimits: true,
      user: true,
      resourceRequirements: resource,
      linuxParameters: {
        devices: true,
        initProcessEnabled: true,
        sharedMemorySize: true,
        tmpfs: true,
        maxSwap: true,
        swappiness: true,
      },
      logConfiguration: { 'logDriver!': true, options: true, secretOptions: true },
      secrets: true,
      repositoryCredentials: { 'credentialsParameter!': true },
    },
  },
  DeregisterJobDefinition: { 'jobDefinition!': true },
  SubmitJob: {
    'jobName!': true,
    'jobQueue!': true,
    'jobDefinition!': true,
    shareIdentifier: true,
    schedulingPriorityOverride: true,
    dependsOn: true,
    parameters: true,
    containerOverrides: { command: true, environment: pair, resourceRequirements: resource },
    retryStrategy: retries,
    propagateTags: true,
    timeout: { attemptDurationSeconds: true },
    tags: true,
  },
  DescribeJobs: { 'jobs!': true },
  ListJobs: {
    jobQueue: true,
    arrayJobId: true,
    multiNodeJobId: true,
    jobStatus: true,
    filters: [{ name: true, values: true }],
    ...paging,
  },
  TerminateJob: { 'jobId!': true, 'reason!': true },
  GetLogEvents: {
    logGroupName: true,
    logGroupIdentifier: true,
    'logStreamName!': true,
    startTime: true,
    endTime: true,
    nextToken: true,
    limit: true,
    startFromHead: true,
    unmask: true,
  },
}

/** @throws Refused where a field is not known, is missing, or breaks a rule of its own */
export function checkFields(action: string, body: Fields): void {
  checkShape(action, body, actions[action] ?? {})
  rules[action]?.(body)
}

function checkShape(at: string, given: Fields, shape: Shape): void {
  for (const name of Object.keys(given)) {
    const of = shape[name] ?? shape[`${name}!`]
    if (of === undefined) throw refused(`${at} has no field ${name}`)
    const value = given[name]
    if (of === true || value === undefined) continue
    if (isList(of)) for (const each of value as Fields[]) checkShape(`${at}.${name}`, each, of[0])
    else checkShape(`${at}.${name}`, value as Fields, of)
  }
  for (const name of Object.keys(shape))
    if (name.endsWith('!') && given[name.slice(0, -1)] === undefined)
      throw refused(`${at}: ${name.slice(0, -1)} must not be empty`)
}

const isList = (of: Shape | readonly [Shape]): of is readonly [Shape] => Array.isArray(of)

const rules: Readonly<Record<string, (body: Fields) => void>> = {
  RegisterJobDefinition({ jobDefinitionName, containerProperties }) {
    checkName('jobDefinitionName', jobDefinitionName)
    const { resourceRequirements = [] } = (containerProperties ?? {}) as {
      resourceRequirements?: { type: string; value: string }[]
    }
    for (const { type, value } of resourceRequirements)
      if (!['GPU', 'VCPU', 'MEMORY'].includes(type) || !/^[1-9]\d*$/.test(value))
        throw refused(`resourceRequirements: ${type}=${value} on EC2`)
  },
  SubmitJob({ jobName, timeout, containerOverrides }) {
    checkName('jobName', jobName)
    const { attemptDurationSeconds = 60 } = (timeout ?? {}) as { attemptDurationSeconds?: number }
    if (attemptDurationSeconds < 60) throw refused('timeout.attemptDurationSeconds: at least 60')
    const { command = [], environment = [] } = (containerOverrides ?? {}) as {
      command?: string[]
      environment?: { name: string }[]
    }
    if (command.includes('')) throw refused('containerOverrides.command: an empty string')
    const reserved = environment.find(({ name }) => name.startsWith('AWS_BATCH'))
    if (reserved) throw refused(`containerOverrides.environment: ${reserved.name} is reserved`)
  },
}

function checkName(field: string, name: unknown): void {
  if (!/^[A-Za-z0-9][\w-]{0,127}$/.test(String(name)))
    throw refused(`${field} should match valid pattern: ${String(name)}`)
}

const refused = (message: string): Refused =>
  new Refused('ClientException', `Error executing request, Exception : ${message}`)
