import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FolderInUse, lockFolder, processStart } from '../../infra/folder-lock.ts'
import { newFolder } from './new-folder.ts'

const program = resolve(import.meta.dirname, 'hold-folder.ts')
const lockFiles = async (folder: string) =>
  (await readdir(folder)).filter((name) => name.startsWith('berth.')).toSorted()

interface Racer {
  child: ChildProcess
  lock(): Promise<string>
}

async function start(folder: string): Promise<Racer> {
  const child = spawn(process.execPath, [program, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return {
    child,
    async lock() {
      const said = once(child.stdout, 'data')
      child.stdin.write('.')
      return String((await said)[0]).trim()
    },
  }
}

async function hold(folder: string): Promise<{ child: ChildProcess; said: string }> {
  const racer = await start(folder)
  return { child: racer.child, said: await racer.lock() }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

test('the second process is told who has the folder and what to do', async () => {
  const folder = newFolder()
  const first = await hold(folder)
  expect(first.said).toBe('locked')
  const second = await hold(folder)
  expect(second.said).toMatch(
    /^FolderInUse: .* is in use by process \d+ since \d{4}-.*: stop it or set BERTH_DATA_DIR$/,
  )
  expect(second.said).toContain(`${folder} is in use by process ${first.child.pid} `)
  expect(() => lockFolder(folder)).toThrow(FolderInUse)
})

test('the lock of a killed process is taken over', async () => {
  const folder = newFolder()
  for (let round = 0; round < 3; round++) {
    const { child, said } = await hold(folder)
    expect(said).toBe('locked')
    await killed(child)
  }
  lockFolder(folder).release()
  expect(await lockFiles(folder)).toEqual(['berth.lock.4'])
})

test('of many processes that find a stale lock exactly one takes it', async () => {
  const folder = newFolder()
  await killed((await hold(folder)).child)
  for (let round = 0; round < 3; round++) {
    const racers = await Promise.all(Array.from({ length: 6 }, () => start(folder)))
    const said = await Promise.all(racers.map((racer) => racer.lock()))
    expect(said.filter((word) => word === 'locked')).toHaveLength(1)
    await Promise.all(racers.map(({ child }) => killed(child)))
  }
})

test('a released folder can be taken again, by the same process too; releasing twice is nothing', async () => {
  const folder = newFolder()
  const first = lockFolder(folder)
  expect(() => lockFolder(folder)).toThrow(`process ${process.pid} `)
  first.release()
  const second = lockFolder(folder)
  first.release()
  expect(() => lockFolder(folder)).toThrow(FolderInUse)
  second.release()
})

test('a later process with the same pid is not the holder', async () => {
  const folder = newFolder()
  const holder = { pid: process.pid, start: 'earlier', host: hostname(), since: 'then', released: false }
  await writeFile(join(folder, 'berth.lock.7'), JSON.stringify(holder))
  lockFolder(folder).release()
  expect(await lockFiles(folder)).toEqual(['berth.lock.8'])
})

test('a lock from another host is not judged, and its file is named', async () => {
  const folder = newFolder()
  const holder = { pid: 1, start: 'x', host: 'elsewhere', since: '2026-01-01', released: false }
  await writeFile(join(folder, 'berth.lock.1'), JSON.stringify(holder))
  expect(() => lockFolder(folder)).toThrow(`on the host elsewhere since 2026-01-01`)
  expect(() => lockFolder(folder)).toThrow(`remove ${join(folder, 'berth.lock.1')}`)
})

test.each(['', '{', 'null', '{"pid":"1"}'])('a lock file that is no lock holds nothing: %j', async (text) => {
  const folder = newFolder()
  await writeFile(join(folder, 'berth.lock.3'), text)
  lockFolder(folder).release()
  expect(JSON.parse(await readFile(join(folder, 'berth.lock.4'), 'utf8'))).toMatchObject({ released: true })
})

test.each(['linux', 'darwin'] as const)(
  'the start of a process is stable, and null after its end (%s)',
  async (platform) => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    const pid = child.pid ?? 0
    const start = processStart(pid, platform)
    expect(start).not.toBeNull()
    expect(processStart(pid, platform)).toBe(start)
    expect(processStart(process.pid, platform)).not.toBeNull()
    await killed(child)
    expect(processStart(pid, platform)).toBeNull()
  },
)
