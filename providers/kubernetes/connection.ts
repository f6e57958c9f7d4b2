// One cluster's API: who we are there, and calls with a bound on time and on what is read.
import * as kube from '@kubernetes/client-node'
import { type Dispatcher, fetch, type Response } from 'undici'
import { ProviderError } from '../errors.ts'
import type { ClusterAccess } from './options.ts'

export interface Cluster {
  /** What lets us in: never to be shown. */
  credentials: readonly string[]
  core: kube.CoreV1Api
  batch: kube.BatchV1Api
  authorization: kube.AuthorizationV1Api
}

/** Given to each call of the client as its last argument. */
export type CallOptions = kube.ConfigurationOptions

/** A page of 500 pods with long specs is 5 MB. */
const maxAnswer_bytes = 32 * 1024 ** 2
const agent = 'berth'

/** Errors: ProviderError `rejected`, with what is wrong with the access and never a word of it. */
export function connect(provider: string, access: ClusterAccess): Cluster {
  const config = configOf(provider, access)
  const server = config.getCurrentCluster()?.server
  if (!server) throw refused(provider, 'the kubeconfig has no such context, or no cluster for it')
  // The client makes a pool of connections for each request; the first one is kept.
  let pool: Dispatcher | undefined
  const authentication: kube.SecurityAuthentication = {
    getName: () => agent,
    async applySecurityAuthentication(request) {
      await config.applySecurityAuthentication(request)
      pool ??= request.getDispatcher()
      if (pool) request.setDispatcher(pool)
    },
  }
  const configuration = kube.createConfiguration({
    baseServer: new kube.ServerConfiguration(server.replace(/\/$/, ''), {}),
    authMethods: { default: authentication },
  })
  const user = config.getCurrentUser()
  return {
    credentials: [user?.token, user?.password].filter((each) => typeof each === 'string'),
    core: new kube.CoreV1Api(configuration),
    batch: new kube.BatchV1Api(configuration),
    authorization: new kube.AuthorizationV1Api(configuration),
  }
}

function configOf(provider: string, access: ClusterAccess): kube.KubeConfig {
  const config = new kube.KubeConfig()
  if ('in_cluster' in access) {
    config.loadFromCluster()
    return config
  }
  if ('server' in access) {
    const ca = access.ca === null ? {} : { caData: Buffer.from(access.ca).toString('base64') }
    config.loadFromClusterAndUser(
      { name: agent, server: access.server, skipTLSVerify: false, ...ca },
      { name: agent, token: access.token },
    )
    return config
  }
  try {
    config.loadFromString(access.kubeconfig)
  } catch {
    throw refused(provider, 'the kubeconfig cannot be read: it must be the YAML that kubectl uses')
  }
  if (access.context) config.setCurrentContext(access.context)
  refuseForeign(provider, config)
  return config
}

/** Files and commands would be the server's: who may name a cluster need not be allowed to run things here. */
function refuseForeign(provider: string, config: kube.KubeConfig): void {
  const [user, cluster] = [config.getCurrentUser(), config.getCurrentCluster()]
  const named = [
    user?.exec && 'exec',
    user?.authProvider && 'auth-provider',
    user?.certFile && 'client-certificate',
    user?.keyFile && 'client-key',
    cluster?.caFile && 'certificate-authority',
  ].filter(Boolean)
  if (named.length > 0)
    throw refused(
      provider,
      `the kubeconfig names commands or files (${named.join(', ')}): put the data into it, or a service account's token`,
    )
}

const refused = (provider: string, detail: string) => new ProviderError('rejected', { provider, detail })

export type Answer = 'json' | 'names' | 'log'

/** An answer that is not what the API gives: a proxy's page, or a part of one. */
export class Unreadable extends Error {}

/** Options of a call that ends with the signal or after its time, and that reads no more than it should. */
export function bounded(signal: AbortSignal, call_ms: number, kind: Answer = 'json'): CallOptions {
  const both = AbortSignal.any([signal, AbortSignal.timeout(call_ms)])
  return {
    httpApi: kube.wrapHttpLibrary({
      async send(request) {
        const dispatcher = request.getDispatcher()
        const [method, body] = [request.getHttpMethod(), request.getBody()]
        const response = await fetch(request.getUrl(), {
          method,
          headers: {
            ...request.getHeaders(),
            'User-Agent': agent,
            // The client would say that a patch is a list of steps.
            ...(method === 'PATCH' && { 'Content-Type': kube.PatchStrategy.MergePatch }),
            ...(kind === 'names' && namesOnly),
          },
          signal: both,
          // A redirect would carry the token elsewhere.
          redirect: 'error',
          ...(dispatcher && { dispatcher }),
          ...(typeof body === 'string' && { body }),
        })
        const text = await (kind === 'log' ? endOf(response) : wholeOf(response))
        if (response.ok && kind !== 'log') assertObject(text)
        const type = response.headers.get('content-type') ?? 'text/plain'
        return new kube.ResponseContext(
          response.status,
          { 'content-type': response.ok && kind !== 'log' ? 'application/json' : type },
          {
            text: () => Promise.resolve(text),
            binary: () => Promise.resolve(Buffer.from(text)),
            stream: () => null,
          },
        )
      },
    }),
  }
}

/** Names and labels without contents: what is secret in them does not travel. */
const namesOnly = { Accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' }

async function wholeOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.byteLength
    if (bytes > maxAnswer_bytes) throw new Unreadable('an answer longer than any page')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

/** The last bytes of a log. */
const log_bytes = 64 * 1024

async function endOf(response: Response): Promise<string> {
  let kept = Buffer.alloc(0)
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.byteLength
    kept = Buffer.concat([kept, part])
    if (kept.byteLength > log_bytes) kept = kept.subarray(-log_bytes)
    if (bytes > maxAnswer_bytes) break
  }
  // The first character may have been cut.
  const text = kept.toString().replace(/^\uFFFD+/, '')
  return Buffer.byteLength(text) > log_bytes ? text.slice(3) : text
}

/** The client takes a page of HTML with status 200 for an empty list. */
function assertObject(text: string): void {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Unreadable('an answer that is not JSON')
  }
  if (typeof value !== 'object' || value === null || !('kind' in value))
    throw new Unreadable('an answer that is not an object of the API')
}
