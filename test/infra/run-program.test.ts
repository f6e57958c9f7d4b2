import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { newFolder } from './new-folder.ts'

const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'infra/run-program.mjs')

const { isPythonMade } = (await import(join(root, 'infra/python-env.mjs'))) as { isPythonMade: () => boolean }

const module = `
import os, signal, sys, time
print("argv", sys.argv[1:], os.getcwd(), flush=True)
if sys.argv[1] == "exit": sys.exit(int(sys.argv[2]))
if sys.argv[1] == "die": os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    print("waiting", flush=True)
    time.sleep(600)
`

async function start(args: string[], env: Record<string, string> = {}) {
  const folder = newFolder()
  await writeFile(join(folder, 'some_program.py'), module)
  const child = spawn(process.execPath, [program, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', PYTHONPATH: folder, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (text) => (output += String(text)))
  child.stderr.resume()
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, output }))
  return { child, folder, ended }
}

test('without a module it says how it is used', async () => {
  expect((await (await start([])).ended).code).toBe(2)
})

// Making the environment needs a network; `npm test` has made it before.

describe.skipIf(!isPythonMade())('in the Python environment (made by `npm test`)', () => {
  test.each([0, 1, 2, 75])('the exit code of the program is its own: %i', async (code) => {
    const { ended, folder } = await start(['some_program', 'exit', String(code), 'a b'])
    expect(await ended).toEqual({ code, output: `argv ['exit', '${code}', 'a b'] ${folder}\n` })
  })

  test('a program that is killed says by what, as shells do', async () => {
    expect((await (await start(['some_program', 'die'])).ended).code).toBe(128 + 9)
  })

  test('a stop reaches the program, which ends in its own way', async () => {
    const { child, ended } = await start(['some_program', 'wait'])
    // Not by iterating: leaving the loop would close the pipe that the program still writes to.
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text) => String(text).includes('waiting') && resolve())
    })
    child.kill('SIGTERM')
    expect((await ended).code).toBe(75)
  })

  test('paths are those of the folder where npm was called', async () => {
    const elsewhere = newFolder()
    const npm = { npm_lifecycle_script: 'node infra/run-program.mjs some_program', INIT_CWD: elsewhere }
    expect((await (await start(['some_program', 'exit', '0'], npm)).ended).output).toContain(elsewhere)
    const other = { ...npm, npm_lifecycle_script: 'node infra/test.mjs' }
    expect((await (await start(['some_program', 'exit', '0'], other)).ended).output).not.toContain(elsewhere)
  })
})
