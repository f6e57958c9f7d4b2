// RunPod as its clients see it over HTTP: both APIs over one account.
import type { BackEnd, Call, Fault } from '../../providers/conformance/subject.ts'
import { createCloud, type FakePod } from './runpod-cloud.ts'
import { answerGraphql, type Caller } from './runpod-graphql.ts'
import { bodies } from './runpod-recorded.ts'
import { answerRest } from './runpod-rest.ts'
import { serveWire, type WireAnswer, type WireRequest } from './wire.ts'

export const apiKey = 'rpa_9F4K2M7X1QW8ZC3V5B6N0PLKJHGFDSA'
/** Of the pod alone; RunPod puts it into the pod's variables. */
export const podKey = (id: string) => `rpa_pod_${id}`

export async function openRunpod() {
  const cloud = createCloud()
  const { state } = cloud
  const account = { read_only: false }
  let answered: { match: (request: WireRequest) => boolean; body: WireAnswer } | null = null
  const answer = (request: WireRequest): WireAnswer => {
    const isGraphql = request.path === '/graphql'
    const key = /^Bearer (.+)$/.exec(String(request.headers.authorization))?.[1]
    const pod = state.pods.find(({ id }) => key === podKey(id)) ?? null
    if (key !== apiKey && pod === null) return isGraphql ? bodies.graphql_401 : bodies.rest_401
    if (answered?.match(request)) return answered.body
    const caller: Caller = { pod: pod?.id ?? null }
    const isChange = isGraphql ? /"mutation /.test(request.body) : request.method !== 'GET'
    if (account.read_only && isChange) return isGraphql ? bodies.graphql_403 : bodies.rest_403
    return isGraphql ? answerGraphql(cloud, request.body, caller) : answerRest(cloud, request, caller)
  }
  const wire = await serveWire({ answer, refusal })
  const of = (attempt_id: string) => state.pods.filter((pod) => pod.env['BERTH_ATTEMPT_ID'] === attempt_id)
  const each = (attempt_id: string, work: (pod: FakePod) => void): Promise<void> => {
    of(attempt_id).forEach(work)
    return Promise.resolve()
  }
  const back: BackEnd = {
    things: (attempt_id) => Promise.resolve(of(attempt_id).filter(cloud.isAlive).length),
    fail(call, fault, after) {
      wire.spoil(matches[call], fault, after)
      return true
    },
    calm: wire.calm,
    loseAnswer: (call) => wire.lose(matches[call]),
    hide: (ms) => (state.lag_ms = ms),
    async vanish(attempt_id) {
      await Promise.resolve((state.pods = state.pods.filter((pod) => !of(attempt_id).includes(pod))))
    },
    // The runner has reported, and the container ends its own pod.
    finish: (attempt_id) => each(attempt_id, ({ id }) => void cloud.terminate(id)),
    no_exit_codes: true,
    async foreign() {
      const [gpu] = state.gpus
      const pod = { image: 'x', args: '', count: 1, cloud: 'SECURE', data_centers: [], disk_gb: 10 } as const
      const more = { registry: null, bid: null, cpu: 1, ram: 1, gpu_type: gpu?.id ?? '' }
      cloud.create({ ...pod, ...more, name: 'my-notebook', env: {} })
      // The same six letters, and another installation.
      const env = { BERTH_INSTALLATION: '4q7k2mother', BERTH_ATTEMPT_ID: 'att_other' }
      cloud.create({ ...pod, ...more, name: 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x', env })
      for (const name of ['dockerhub', 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x-4q7k2mother'])
        await Promise.resolve(cloud.saveRegistry({ name, username: 'u', password: 'p' }))
    },
    calls: wire.count,
    // Each launch reads all pods, as RunPod has no look-up by name.
    crowd: 20,
    bill: (attempt_id) => {
      const [pod] = of(attempt_id)
      return Promise.resolve(pod ? cloud.billed(pod).seconds : 0)
    },
    print: (attempt_id, text) => each(attempt_id, (pod) => pod.log.push(...text.trimEnd().split('\n'))),
  }
  return {
    url: wire.url,
    wire,
    cloud,
    state,
    account,
    back,
    of,
    /** Matching requests are answered so. */
    answerWith: (match: (request: WireRequest) => boolean, body: WireAnswer) => (answered = { match, body }),
    /** A higher bid takes the GPU: the pod is stopped without notice. */
    outbid: (attempt_id: string) =>
      each(attempt_id, (pod) => (pod.end ??= { ms: state.now_ms, how: 'exited' })),
    now: () => state.now_ms,
    async pass(ms: number) {
      await Promise.resolve((state.now_ms += ms))
    },
    close: wire.close,
  }
}

const isGraphql = (request: WireRequest, pattern: RegExp) =>
  request.path === '/graphql' && pattern.test((JSON.parse(request.body) as { query: string }).query)
const isRest = ({ method, path }: WireRequest, of: string, begins: string) =>
  method === of && path.startsWith(begins)

export const matches: Record<Call, (request: WireRequest) => boolean> = {
  launch: (request) =>
    isGraphql(request, /podFindAndDeployOnDemand|podRentInterruptable/) ||
    (request.method === 'POST' && request.path === '/v2/pods'),
  stop: (request) => isGraphql(request, /podTerminate/) || isRest(request, 'DELETE', '/v2/pods/'),
  inspect: (request) => isGraphql(request, /^query Pods/) || isRest(request, 'GET', '/v2/pods'),
  list: (request) => isGraphql(request, /^query Pods/) || isRest(request, 'GET', '/v2/pods'),
  offers: (request) => isGraphql(request, /gpuTypes/) || isRest(request, 'GET', '/v2/catalog/'),
}

function refusal(fault: Fault, request: WireRequest): WireAnswer | null {
  const isOfGraphql = request.path === '/graphql'
  if (fault === 'echo') {
    const said = `${request.body} ${JSON.stringify(request.headers)}`
    return isOfGraphql
      ? {
          status: 400,
          body: JSON.stringify({ errors: [{ message: said, extensions: { code: 'BAD_USER_INPUT' } }] }),
        }
      : {
          ...bodies.rest_422,
          body: JSON.stringify({ title: 'x', status: 422, detail: said, errors: [said] }),
        }
  }
  return (isOfGraphql ? graphqlOf : restOf)[fault] ?? null
}

const graphqlOf: Partial<Record<Fault, WireAnswer>> = {
  capacity: bodies.graphql_no_stock,
  throttled: bodies.graphql_429,
  unauthorized: bodies.graphql_401,
  rejected: bodies.graphql_400,
  // HTTP 200, as its own errors are.
  server_error: bodies.graphql_wrong,
}
const restOf: Partial<Record<Fault, WireAnswer>> = {
  capacity: bodies.rest_no_stock,
  balance: bodies.rest_402,
  throttled: bodies.rest_429,
  unauthorized: bodies.rest_401,
  rejected: bodies.rest_422,
  server_error: bodies.rest_500,
}
