// What is looked at once, when a server with a bucket starts: whether it can be used, and what was left unfinished.
import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  ListMultipartUploadsCommand,
  PutBucketLifecycleConfigurationCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { Log, ObjectStore } from '../jobs/deps.ts'
import { call, S3Failed, type S3Settings } from './s3-client.ts'

/** Longer than any upload takes: what is older was left by a process that was killed. Stores bill its parts. */
const unfinished_days = 2
/** Pages of 1,000; the rest waits for the next start, or for the bucket's own rule. */
const mostPages = 10
const rule_id = 'berth-unfinished-uploads'

export interface StartDeps {
  client: S3Client
  store: ObjectStore
  random: (bytes: number) => Uint8Array
  now: () => Date
  log: Log
}

/** Writes, reads and deletes an object. Throws with a message that names the variables and says what to do. */
export async function checkBucket(settings: S3Settings, { store, random }: StartDeps): Promise<void> {
  const key = `berth-start/${Buffer.from(random(12)).toString('hex')}`
  const content = 'Berth wrote this when it started; it may be deleted.\n'
  const where = `BERTH_OBJECT_STORE: the bucket ${settings.bucket} at ${settings.endpoint ?? `AWS in ${settings.region}`}`
  try {
    await store.put(key, new Blob([content]).stream(), { max_bytes: content.length })
    const found = await store.get(key)
    const read = found === null ? null : await new Response(found.body).text()
    await store.delete(key)
    if (read !== content)
      throw new Error(`${where} gave other bytes than were written: it is not consistent enough.`)
  } catch (error) {
    if (!(error instanceof S3Failed)) throw error
    throw new Error(`${where} cannot be used: ${error.message}.\n${whatToDo(error, settings)}`, {
      cause: error,
    })
  }
}

/** In lower case: stores agree on the words alone. */
const hints: Record<string, string> = {
  nosuchbucket: 'There is no such bucket: make it, or name another one in BERTH_OBJECT_STORE.',
  invalidaccesskeyid: 'The store does not know the key: set BERTH_OBJECT_STORE_KEY_ID.',
  signaturedoesnotmatch: 'The secret does not fit the key: set BERTH_OBJECT_STORE_SECRET.',
  requesttimetooskewed: 'The clock of this machine is wrong: set it.',
  requesttimeout: 'The line to BERTH_OBJECT_STORE_ENDPOINT is too slow.',
  credentialsprovidererror:
    'There are no credentials: set BERTH_OBJECT_STORE_KEY_ID and BERTH_OBJECT_STORE_SECRET, or give this machine a role.',
  authorizationheadermalformed: 'The bucket is in another region: set BERTH_OBJECT_STORE_REGION.',
  permanentredirect: 'The bucket is in another region: set BERTH_OBJECT_STORE_REGION.',
  secondleveldomainforbidden:
    'The store wants the bucket in the host name: set BERTH_OBJECT_STORE_PATH_STYLE=false.',
  pathstyledomainforbidden:
    'The store wants the bucket in the host name: set BERTH_OBJECT_STORE_PATH_STYLE=false.',
}

function whatToDo({ code, status }: S3Failed, { path_style }: S3Settings): string {
  const known = hints[code.toLowerCase()]
  if (known !== undefined) return known
  if (status === 301) return 'The bucket is in another region: set BERTH_OBJECT_STORE_REGION.'
  if (status === 401 || status === 403)
    return (
      'The key may not do that: it needs to put, get and delete objects, to list the bucket, to list and abort ' +
      'multipart uploads (README.md, "Object storage").'
    )
  const style = path_style
    ? ''
    : ' If it has no host name for each bucket (MinIO), set BERTH_OBJECT_STORE_PATH_STYLE=true.'
  return `Check BERTH_OBJECT_STORE_ENDPOINT and BERTH_OBJECT_STORE_REGION.${style}`
}

/** Sees to it that parts of uploads that nobody finishes go away: now, and by a rule of the bucket's own. */
export async function tidyUnfinished(settings: S3Settings, deps: StartDeps): Promise<void> {
  const prefix = settings.prefix === '' ? '' : `${settings.prefix}/`
  const told = (what: string) => (error: unknown) => {
    if (!(error instanceof S3Failed)) throw error
    deps.log('warn', what, { bucket: settings.bucket, error: error.message })
  }
  await abortOld(settings.bucket, prefix, deps).catch(told('unfinished uploads could not be looked for'))
  await ensureRule(settings.bucket, prefix, deps).catch(
    told('the bucket has no rule for unfinished uploads: they go at a start of Berth, or set one yourself'),
  )
}

async function abortOld(bucket: string, prefix: string, { client, now, log }: StartDeps): Promise<void> {
  const before_ms = now().getTime() - unfinished_days * 86_400_000
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
  let aborted = 0
  for (let page = 0; page < mostPages; page++) {
    const list = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...marker })
    const found = await call('ListMultipartUploads', (options) => client.send(list, options))
    for (const { Key, UploadId, Initiated } of found.Uploads ?? []) {
      if (!Initiated || Initiated.getTime() >= before_ms) continue
      const abort = new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId })
      await call('AbortMultipartUpload', (options) => client.send(abort, options))
      aborted++
    }
    if (!found.IsTruncated) break
    marker = { KeyMarker: found.NextKeyMarker, UploadIdMarker: found.NextUploadIdMarker }
  }
  if (aborted > 0) log('info', 'old unfinished uploads were aborted', { bucket, aborted })
}

/** A bucket's rules are one document: where somebody wrote one, it is only read. */
async function ensureRule(bucket: string, prefix: string, { client, log }: StartDeps): Promise<void> {
  const rules = await rulesOf(bucket, client)
  if (rules.some((rule) => abortsBelow(rule, prefix))) return
  if (rules.length > 0) {
    log('warn', 'no lifecycle rule of the bucket aborts unfinished uploads: add one', { bucket, prefix })
    return
  }
  const rule: LifecycleRule = {
    ID: rule_id,
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: unfinished_days },
  }
  const command = new PutBucketLifecycleConfigurationCommand({
    Bucket: bucket,
    LifecycleConfiguration: { Rules: [rule] },
  })
  // S3's dialects want Content-MD5 here; the SDK has a CRC32 in its place.
  command.middlewareStack.add(
    (next) => (args) => {
      const { body, headers } = args.request as { body: string; headers: Record<string, string> }
      headers['content-md5'] = createHash('md5').update(body).digest('base64')
      return next(args)
    },
    { step: 'build', priority: 'low', name: 'berthContentMd5' },
  )
  await call('PutBucketLifecycleConfiguration', (options) => client.send(command, options))
  log('info', 'the bucket now aborts unfinished uploads by a lifecycle rule', { bucket, rule: rule_id })
}

async function rulesOf(bucket: string, client: S3Client): Promise<LifecycleRule[]> {
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket })
  try {
    const { Rules } = await call('GetBucketLifecycleConfiguration', (options) =>
      client.send(command, options),
    )
    return Rules ?? []
  } catch (error) {
    if (error instanceof S3Failed && error.code === 'NoSuchLifecycleConfiguration') return []
    throw error
  }
}

function abortsBelow(rule: LifecycleRule, prefix: string): boolean {
  // `Prefix` is how older rules and some dialects say it; a rule for tags finds none on an upload.
  const of = rule.Filter?.Prefix ?? rule.Prefix ?? (rule.Filter?.And || rule.Filter?.Tag ? null : '')
  return (
    rule.Status === 'Enabled' &&
    rule.AbortIncompleteMultipartUpload !== undefined &&
    of !== null &&
    prefix.startsWith(of)
  )
}
