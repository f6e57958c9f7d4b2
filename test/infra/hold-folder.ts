// A process that says `ready`, takes the folder given to it at the first byte of its input, says `locked` (or
// who has it), and holds it until it is killed.
import { once } from 'node:events'
import { lockFolder } from '../../infra/folder-lock.ts'

process.stdout.write('ready\n')
await once(process.stdin, 'data')
try {
  lockFolder(process.argv[2] ?? '')
  process.stdout.write('locked\n')
  setInterval(() => {}, 1000)
} catch (error) {
  process.stdout.write(`${(error as Error).name}: ${(error as Error).message}\n`)
}
