// One Kubernetes cluster for all test files, started when the first of them asks for it and stopped when all have ended.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestProject } from 'vitest/node'
import { kubeBinary } from './kube-binary.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Whoever needs the cluster makes the file `wanted` in it, and waits for `ready.json` or `failed`. */
    kube_folder: string
  }
}

const look_ms = 100
const stages = resolve(import.meta.dirname, '../kube/stages')

export function setup(project: TestProject): () => Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-kube-'))
  project.provide('kube_folder', folder)
  const over = new AbortController()
  let child: ChildProcess | null = null
  const watching = (async () => {
    while (!existsSync(join(folder, 'wanted'))) await sleep(look_ms, null, { signal: over.signal })
    child = start(folder)
  })().catch(() => undefined)
  return async () => {
    over.abort()
    await watching
    if (child && child.exitCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

/** It ends when its standard input does, so also when this process is killed. */
function start(folder: string): ChildProcess {
  const files = readdirSync(stages).map((name) => join(stages, name))
  const args = ['up', '--dir', folder, '--stages', files.join(','), '--until-stdin-closes']
  const child = spawn(kubeBinary(), args, { stdio: ['pipe', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-10_000)))
  child.on('error', (error) => writeFileSync(join(folder, 'failed'), String(error)))
  child.on('exit', (code) => writeFileSync(join(folder, 'failed'), `it ended with ${code}:\n${said}`))
  return child
}
