// What the runner needs of this machine: Python and file locks.

import { run } from '../machine.ts'

// A first start from a cold disk is slow; a wrong program that waits for input never ends.
const pythonTimeout_ms = 20_000
const pythonVersions = ['3.11', '3.12', '3.13']

/** `3.12.4`. Errors: says what is wrong with this Python and what to do. */
export async function probePython(python: string, env: Record<string, string>): Promise<string> {
  const program = 'import sys, fcntl; print(".".join(map(str, sys.version_info[:3])))'
  const version = await run(python, ['-c', program], { env, timeout: pythonTimeout_ms }).catch(
    (error: unknown) => {
      const code = (error as NodeJS.ErrnoException).code
      const why = code === 'ENOENT' ? 'is not there' : 'cannot be started'
      throw new Error(`Python at ${python} ${why}: install Python 3.11 to 3.13`, { cause: error })
    },
  )
  const [major, minor] = version.trim().split('.')
  if (!pythonVersions.includes(`${major}.${minor}`))
    throw new Error(`Python at ${python} is ${version.trim().slice(0, 40)}: install Python 3.11 to 3.13`)
  return version.trim()
}

/** flock(2) as the runner uses it: a second open file of one path must not get the lock. */
export async function probeLock(python: string, env: Record<string, string>, path: string): Promise<boolean> {
  const program = [
    'import fcntl, sys',
    'a, b = open(sys.argv[1], "w"), open(sys.argv[1], "w")',
    'fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)',
    'try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)',
    'except BlockingIOError: print("locked")',
  ].join('\n')
  const output = await run(python, ['-c', program, path], { env, timeout: pythonTimeout_ms }).catch(() => '')
  return output.trim() === 'locked'
}
