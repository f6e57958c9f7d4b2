// In front of a real Kubernetes API: answers in its place as proxies, overloaded API servers and webhooks do, loses answers,
// makes pages small, and counts. What it answers was recorded from API servers of 1.36 and, for pages of HTML, from nginx.
import { createServer, type IncomingMessage, request as forward, type ServerResponse } from 'node:http'
import { Agent, request as forwardSecurely } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Asked {
  method: string
  /** Without its query. */
  path: string
  query: URLSearchParams
  headers: Record<string, string | string[] | undefined>
  body: string
}

export type Spoiled =
  | { status: number; type?: string; headers?: Record<string, string>; body: string }
  /** `lost`: it takes effect, and its answer does not come. `truncated`: its answer breaks off. */
  | 'reset'
  | 'hang'
  | 'lost'
  | 'truncated'

export interface KubeProxy {
  url: string
  asked: Asked[]
  /** null: it goes through. */
  spoil: (asked: Asked) => Spoiled | null
  /** Most things in a page. */
  page: number | null
  [Symbol.asyncDispose](): Promise<void>
}

export async function openKubeProxy(server: string, ca: string): Promise<KubeProxy> {
  const agent = new Agent({ keepAlive: true, ca })
  const held = new Set<ServerResponse>()
  const http = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const url = new URL(request.url ?? '/', server)
    if (self.page !== null && url.searchParams.has('limit')) url.searchParams.set('limit', String(self.page))
    const { method = 'GET', headers } = request
    const body = Buffer.concat(chunks).toString()
    const asked = { method, path: url.pathname, query: url.searchParams, headers, body }
    self.asked.push(asked)
    const spoiled = self.spoil(asked)
    if (spoiled === 'reset') return void request.socket.resetAndDestroy()
    if (spoiled === 'hang') return void held.add(response)
    if (typeof spoiled === 'object' && spoiled !== null)
      return void response
        .writeHead(spoiled.status, { 'content-type': spoiled.type ?? 'application/json', ...spoiled.headers })
        .end(spoiled.body)
    const answer = await through(url, asked)
    if (spoiled === 'lost') return void request.socket.resetAndDestroy()
    const {
      'content-length': _length,
      'transfer-encoding': _encoding,
      connection: _kept,
      ...rest
    } = answer.headers
    if (spoiled === 'truncated') {
      response.writeHead(answer.status, { ...rest, 'content-length': String(answer.body.length) })
      response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () =>
        request.socket.destroy(),
      )
      return
    }
    response.writeHead(answer.status, rest).end(answer.body)
  }

  const through = (url: URL, { method, headers, body }: Asked) =>
    new Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }>((resolve, reject) => {
      const { host: _host, connection: _kept, 'transfer-encoding': _encoding, ...rest } = headers
      const send = url.protocol === 'https:' ? forwardSecurely : forward
      const onward = send(url, { method, headers: { ...rest, host: url.host }, agent }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part)).on('error', reject)
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(parts) }),
        )
      })
      onward.on('error', reject).end(body)
    })

  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done))
  const self: KubeProxy = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    asked: [],
    spoil: () => null,
    page: null,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      agent.destroy()
      await new Promise((done) => http.close(done))
    },
  }
  return self
}

const status = (code: number, reason: string, message: string, details: object = {}) => ({
  status: code,
  body: JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    details,
    code,
  }),
})

/** Bodies by what they mean. */
export const answers = {
  quota: status(
    403,
    'Forbidden',
    'jobs.batch "berth-4q7k2m-x" is forbidden: exceeded quota: jobs, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1',
    { name: 'berth-4q7k2m-x', group: 'batch', kind: 'jobs' },
  ),
  unauthorized: status(401, 'Unauthorized', 'Unauthorized'),
  forbidden: status(
    403,
    'Forbidden',
    'jobs.batch is forbidden: User "system:serviceaccount:berth:berth" cannot create resource "jobs" in API group "batch" in the namespace "berth"',
    { group: 'batch', kind: 'jobs' },
  ),
  throttled: {
    status: 429,
    type: 'text/plain; charset=utf-8',
    headers: { 'retry-after': '1', 'x-content-type-options': 'nosniff' },
    body: 'Too many requests, please try again later.\n',
  },
  invalid: status(
    422,
    'Invalid',
    'Job.batch "berth-4q7k2m-x" is invalid: spec.template.spec.containers[0].env[0].value: Invalid value: "https://berth.example.test": too long',
    {
      name: 'berth-4q7k2m-x',
      group: 'batch',
      kind: 'Job',
      causes: [
        {
          reason: 'FieldValueInvalid',
          message: 'Invalid value: "https://berth.example.test": too long',
          field: 'spec.template.spec.containers[0].env[0].value',
        },
      ],
    },
  ),
  badRequest: status(
    400,
    'BadRequest',
    'Job in version "v1" cannot be handled as a Job: json: unknown field "spek"',
  ),
  webhookDown: status(
    500,
    'InternalError',
    'Internal error occurred: failed calling webhook "check.policy.test": failed to call webhook: Post "https://policy.kube-system.svc:443/check?timeout=10s": dial tcp 10.0.0.7:443: connect: connection refused',
    { causes: [{ message: 'failed calling webhook "check.policy.test"' }] },
  ),
  webhookDenied: (text: string) =>
    status(400, 'BadRequest', `admission webhook "check.policy.test" denied the request: ${text}`),
  etcd: status(500, 'InternalError', 'etcdserver: request timed out'),
  conflict: status(
    409,
    'Conflict',
    'Operation cannot be fulfilled on resourcequotas "jobs": the object has been modified; please apply your changes to the latest version and try again',
    { name: 'jobs', kind: 'resourcequotas' },
  ),
  noNamespace: status(404, 'NotFound', 'namespaces "berth" not found', { name: 'berth', kind: 'namespaces' }),
  terminating: status(
    403,
    'Forbidden',
    'jobs.batch "berth-4q7k2m-x" is forbidden: unable to create new content in namespace berth because it is being terminated',
    {
      name: 'berth-4q7k2m-x',
      group: 'batch',
      kind: 'jobs',
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: 'namespace berth is being terminated',
          field: 'metadata.namespace',
        },
      ],
    },
  ),
  expired: status(
    410,
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
  ),
  unavailable: status(503, 'ServiceUnavailable', 'apiserver is shutting down'),
  timeout: status(
    504,
    'Timeout',
    'Timeout: request did not complete within requested timeout - context deadline exceeded',
  ),
  html: {
    status: 502,
    type: 'text/html',
    body: '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n',
  },
  /** A page of a login in front of the API. */
  login: { status: 200, type: 'text/html', body: '<!doctype html><title>Sign in</title><form></form>' },
  malformed: { status: 200, body: '{"kind":"JobList","items":[{"metadata":' },
} as const
