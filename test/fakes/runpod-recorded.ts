// Refusals as RunPod sent them, or as its documents show them. What was seen by nobody on a live account says so.
import type { ProviderErrorCode } from '../../providers/errors.ts'
import type { WireAnswer } from './wire.ts'

const problem = (
  status: number,
  title: string,
  detail: string,
  more: object = {},
  headers?: object,
): WireAnswer => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({ title, status, detail, ...more }),
})

/** Client errors are HTTP 200: https://github.com/dstackai/dstack, backends/runpod/api_client.py */
const graphqlErrors = (message: string, code: string, field: string): WireAnswer => ({
  status: 200,
  body: JSON.stringify({
    errors: [{ message, path: [field], extensions: { code } }],
    data: { [field]: null },
  }),
})

export const bodies = {
  // https://github.com/mlabonne/llm-autoeval/issues/3
  graphql_no_stock: graphqlErrors(
    'There are no longer any instances available with the requested specifications. Please refresh and try again.',
    'RUNPOD',
    'podFindAndDeployOnDemand',
  ),
  // https://github.com/dstackai/dstack/issues/1740
  graphql_no_spot: graphqlErrors(
    'There are no longer any instances available with the request specifications. Please try again later.',
    'RUNPOD',
    'podRentInterruptable',
  ),
  // The texts are recorded of the API behind both (github.com/cozy-creator/runpod-go-sdk, tests of 2026-08); in an answer of
  // GraphQL they were not seen.
  graphql_none_now: graphqlErrors(
    'There are no instances currently available.',
    'RUNPOD',
    'podFindAndDeployOnDemand',
  ),
  graphql_no_room: graphqlErrors(
    'This machine does not have the resources to deploy your pod. Please try a different machine',
    'RUNPOD',
    'podFindAndDeployOnDemand',
  ),
  graphql_no_machine: graphqlErrors(
    'could not find any pods with required specifications',
    'RUNPOD',
    'podFindAndDeployOnDemand',
  ),
  // https://github.com/dstackai/dstack, backends/runpod/compute.py; the code is in a public log of 2026-10.
  graphql_no_pod: graphqlErrors('pod not found to terminate', 'POD_NOT_FOUND', 'podTerminate'),
  // https://github.com/runpod/runpod-python/issues/239
  graphql_wrong: graphqlErrors(
    'Something went wrong. Please try again later or contact support.',
    'INTERNAL_SERVER_ERROR',
    'podFindAndDeployOnDemand',
  ),
  // The statuses are what runpod-python and dstack look at; the bodies were seen by nobody.
  graphql_401: { status: 401, headers: { 'content-type': 'text/plain' }, body: 'Unauthorized' },
  graphql_403: { status: 403, headers: { 'content-type': 'text/plain' }, body: 'Forbidden' },
  graphql_429: { status: 429, headers: { 'content-type': 'text/plain' }, body: 'Too Many Requests' },
  // What Apollo Server answers to a document that does not fit its schema.
  graphql_400: {
    status: 400,
    body: JSON.stringify({
      errors: [
        {
          message: 'Cannot query field "nothing" on type "Query".',
          extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
        },
      ],
    }),
  },
  // As a public client's tests have it from RunPod.
  rest_no_stock: problem(
    400,
    'Bad Request',
    'There are no longer any instances available with the requested specifications. Please refresh and try again.',
  ),
  // The same words have come with 500 from REST v1.
  rest_no_stock_500: problem(
    500,
    'Internal Server Error',
    'create pod: There are no longer any instances available with the requested specifications. Please refresh and try again.',
  ),
  // The examples of https://docs.runpod.io/api-reference-v2/openapi.json, responses.
  rest_400: problem(400, 'Bad Request', 'request could not be processed'),
  rest_401: problem(401, 'Unauthorized', 'missing bearer token'),
  rest_403: problem(403, 'Forbidden', 'access denied'),
  rest_404: problem(404, 'Not Found', 'resource not found'),
  rest_422: problem(422, 'Unprocessable Entity', 'Request validation failed.'),
  rest_429: problem(
    429,
    'Too Many Requests',
    'rate limit exceeded for the minute window',
    {},
    {
      'retry-after': '12',
      ratelimit: '"minute";r=0;t=12, "hour";r=2800;t=1812, "day";r=49500;t=45012',
      'ratelimit-policy': '"minute";q=60;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400',
    },
  ),
  // The status is in the table of createPod, the words are those of the table; the body was seen by nobody.
  rest_402: problem(402, 'Payment Required', 'Insufficient balance.'),
  rest_500: problem(500, 'Internal Server Error', 'Transient upstream failure.'),
} as const satisfies Record<string, WireAnswer>

/** What each is to a launch and to a list of pods. */
export const meanings: Readonly<
  Record<keyof typeof bodies, { launch: ProviderErrorCode; list: ProviderErrorCode }>
> = {
  graphql_no_stock: { launch: 'capacity', list: 'capacity' },
  graphql_no_spot: { launch: 'capacity', list: 'capacity' },
  graphql_none_now: { launch: 'capacity', list: 'capacity' },
  graphql_no_room: { launch: 'capacity', list: 'capacity' },
  graphql_no_machine: { launch: 'capacity', list: 'capacity' },
  graphql_no_pod: { launch: 'not_found', list: 'not_found' },
  graphql_wrong: { launch: 'unknown_outcome', list: 'unavailable' },
  graphql_401: { launch: 'unauthorized', list: 'unauthorized' },
  graphql_403: { launch: 'unauthorized', list: 'unauthorized' },
  graphql_429: { launch: 'throttled', list: 'throttled' },
  graphql_400: { launch: 'rejected', list: 'rejected' },
  rest_no_stock: { launch: 'capacity', list: 'capacity' },
  rest_no_stock_500: { launch: 'capacity', list: 'capacity' },
  rest_400: { launch: 'capacity', list: 'rejected' },
  rest_401: { launch: 'unauthorized', list: 'unauthorized' },
  rest_402: { launch: 'balance', list: 'balance' },
  rest_403: { launch: 'unauthorized', list: 'unauthorized' },
  rest_404: { launch: 'rejected', list: 'not_found' },
  rest_422: { launch: 'rejected', list: 'rejected' },
  rest_429: { launch: 'throttled', list: 'throttled' },
  rest_500: { launch: 'unknown_outcome', list: 'unavailable' },
}
