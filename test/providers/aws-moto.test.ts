// The adapter beside moto's AWS Batch, which nobody of this repository wrote: DescribeJobQueues, DescribeComputeEnvironments,
// ListJobs (by name, by status), DescribeJobDefinitions, RegisterJobDefinition, SubmitJob, DescribeJobs, TerminateJob and
// DeregisterJobDefinition of Batch, and GetLogEvents of CloudWatch for a stream that is not there.
import { BatchClient, CreateComputeEnvironmentCommand, CreateJobQueueCommand } from '@aws-sdk/client-batch'
import { expect, test } from 'vitest'
import { createAwsProvider } from '../../providers/aws/aws.ts'
import { requestFor } from '../../providers/conformance/subject.ts'
import type { Found } from '../../providers/provider.ts'
import { region } from '../fakes/aws-wire.ts'
import { installation } from '../fakes/aws.ts'
import { awsOptions, cpu } from '../support/aws-subject.ts'
import { noMoto, startMoto } from '../support/moto-server.ts'

const signal = new AbortController().signal
const attempt_id = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'

test('what the adapter asks of AWS Batch is understood by moto as it is meant', async (context) => {
  if (noMoto !== null) return context.skip(noMoto)
  const moto = await startMoto()
  try {
    await makeQueue(moto.url)
    let now_ms = Date.parse('2026-01-01T00:00:00Z')
    const options = awsOptions({ url: moto.url, now: () => now_ms }, { shapes: [cpu], execution_role: null })
    const provider = createAwsProvider(options)

    expect((await provider.check(signal)).filter(({ ok }) => !ok)).toEqual([])
    const [offer] = await provider.offers(signal)
    expect(offer).toMatchObject({ id: cpu.id, spot: false, available: null })
    if (!offer) throw new Error('no offer')

    const deadline_at = '2026-01-01T01:00:00Z'
    const request = requestFor(attempt_id, offer, {
      deadline_at,
      installation,
      image: 'busybox',
      command: ['true'],
    })
    const handle = await provider.launch(request, { token: 'the-token' }, signal)
    expect(await createAwsProvider(options).launch(request, { token: 'the-token' }, signal)).toEqual(handle)
    const ref = { attempt_id, request, handle }
    expect(await provider.inspect([ref, { ...ref, handle: null }], signal)).toMatchObject([
      { state: 'exited', exit_code: 0 },
      { state: 'exited', exit_code: 0 },
    ])
    const never = { attempt_id, request: { ...request, name: 'berth-4q7k2m-never' }, handle: null }
    expect(await provider.inspect([never], signal)).toEqual([{ state: 'gone', detail: null }])
    expect(await provider.tail?.(ref, signal)).toBe('')
    await provider.stop(ref, signal)

    // The definition stays, and is taken away when nothing has needed it for a day.
    const listed = async () => {
      const found: Found[] = []
      for await (const each of provider.list(signal)) found.push(each)
      return found
    }
    expect(await listed()).toEqual([])
    now_ms += 3 * 86_400_000
    const [definition] = await listed()
    expect(definition).toMatchObject({ attempt_id: null, since: '2026-01-01T00:00:00Z' })
    if (!definition) throw new Error('no definition')
    await provider.stop({ attempt_id, handle: definition.handle, request: null }, signal)
    expect(await listed()).toEqual([])
  } finally {
    await moto.close()
  }
})

/** A queue on an environment of the account's own machines, and the role that moto wants to know of. */
async function makeQueue(endpoint: string): Promise<void> {
  const authorization =
    'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0'
  const AssumeRolePolicyDocument = '{"Version":"2012-10-17","Statement":[]}'
  const made = await fetch(endpoint, {
    method: 'POST',
    headers: { authorization },
    body: new URLSearchParams({
      Action: 'CreateRole',
      Version: '2010-05-08',
      RoleName: 'batch',
      AssumeRolePolicyDocument,
    }),
  })
  expect(made.status).toBe(200)
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const client = new BatchClient({ region, endpoint, credentials })
  const { computeEnvironmentArn } = await client.send(
    new CreateComputeEnvironmentCommand({
      computeEnvironmentName: 'own-machines',
      type: 'UNMANAGED',
      state: 'ENABLED',
      serviceRole: 'arn:aws:iam::123456789012:role/batch',
    }),
  )
  await client.send(
    new CreateJobQueueCommand({
      jobQueueName: cpu.queue,
      state: 'ENABLED',
      priority: 1,
      computeEnvironmentOrder: [{ order: 1, computeEnvironment: computeEnvironmentArn }],
    }),
  )
}
