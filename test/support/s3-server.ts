// A real S3-compatible server on loopback, with a bucket; and a line to it that breaks on demand.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { createS3Client, type S3Settings } from '../../infra/s3-client.ts'
import { patience_ms } from './patience.ts'
import { freePort } from './server.ts'

const env = resolve(import.meta.dirname, '../../infra/s3-server-env.mjs')
const { s3ServerJar } = (await import(env)) as { s3ServerJar: () => string }

/** Why there is none; null: there is one. */
export const noS3Server = existsSync(s3ServerJar())
  ? null
  : 'the S3 server is not installed: `npm test` fetches it where Java and Maven are, and says why it could not'

/** This machine's clock, which the server has too, moved. */
export const clockMovedBy = (ms: number) => () => new Date(Date.now() + ms)

export type S3Server = Awaited<ReturnType<typeof startS3Server>>

export async function startS3Server() {
  const folder = mkdtempSync(join(tmpdir(), 'berth-s3-'))
  mkdirSync(join(folder, 'data'))
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const credentials = { key_id: 'test-key', secret: 'test-secret-that-no-message-may-hold' }
  const properties = {
    's3proxy.endpoint': endpoint,
    's3proxy.authorization': 'aws-v4',
    's3proxy.identity': credentials.key_id,
    's3proxy.credential': credentials.secret,
    'jclouds.provider': 'filesystem-nio2',
    'jclouds.filesystem.basedir': join(folder, 'data'),
  }
  writeFileSync(
    join(folder, 's3proxy.conf'),
    Object.entries(properties)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  const args = ['-Xmx256m', '-jar', s3ServerJar(), '--properties', join(folder, 's3proxy.conf')]
  const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  await ready(child, endpoint)
  const settings: S3Settings = {
    bucket: 'berth-test',
    prefix: '',
    endpoint,
    region: 'us-east-1',
    path_style: true,
    credentials,
    redirect: true,
  }
  const client = createS3Client(settings)
  await client.send(new CreateBucketCommand({ Bucket: settings.bucket }))
  return {
    settings,
    port,
    /** As variables of a server. */
    env: {
      BERTH_OBJECT_STORE: `s3://${settings.bucket}/berth`,
      BERTH_OBJECT_STORE_ENDPOINT: endpoint,
      BERTH_OBJECT_STORE_KEY_ID: credentials.key_id,
      BERTH_OBJECT_STORE_SECRET: credentials.secret,
      BERTH_OBJECT_STORE_PATH_STYLE: 'true',
    },
    /** Keys of objects and, marked so, of unfinished uploads below a prefix. */
    async left(prefix: string): Promise<string[]> {
      const below = { Bucket: settings.bucket, Prefix: `${prefix}/` }
      const { Contents = [] } = await client.send(new ListObjectsV2Command(below))
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(below))
      const strip = (key: string | undefined) => key?.slice(prefix.length + 1) ?? ''
      return [
        ...Contents.map(({ Key }) => strip(Key)),
        ...Uploads.map(({ Key }) => `unfinished ${strip(Key)}`),
      ]
    },
    async [Symbol.asyncDispose]() {
      client.destroy()
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function ready(child: ChildProcess, endpoint: string): Promise<void> {
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)))
  for (const until = Date.now() + patience_ms; ;) {
    const answer = await fetch(endpoint).catch(() => null)
    await answer?.body?.cancel()
    if (answer) return
    if (child.exitCode !== null || Date.now() > until)
      throw new Error(`the S3 server did not start:\n${said}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

export interface Line {
  endpoint: string
  /** Looks at what goes to the server and what comes from it, and may change it; null: the line breaks there. */
  sent: (bytes: Buffer) => Buffer | null
  received: (bytes: Buffer) => Buffer | null
  /** Nobody answers from now on. */
  die: () => void
  [Symbol.asyncDispose]: () => Promise<void>
}

/** A line to the server on a port of its own. */
export async function openLine(port: number): Promise<Line> {
  const sockets = new Set<Socket>()
  let dead = false
  const server = createServer((near) => {
    if (dead) return near.destroy()
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
    }
    const pass = (from: Socket, to: Socket, way: 'sent' | 'received') => {
      from.on('data', (bytes: Buffer) => {
        const kept = line[way](bytes)
        if (kept !== null)
          return void (to.write(kept) || (from.pause(), to.once('drain', () => from.resume())))
        near.destroy()
        far.destroy()
      })
      from.on('close', () => to.destroy())
    }
    pass(near, far, 'sent')
    pass(far, near, 'received')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const line: Line = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: (bytes) => bytes,
    received: (bytes) => bytes,
    die() {
      dead = true
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      line.die()
      await new Promise((done) => server.close(done))
    },
  }
  return line
}
