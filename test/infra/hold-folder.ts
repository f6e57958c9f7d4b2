// A process that takes the folder given to it, says so (or who has it), and holds it until it is killed.
import { lockFolder } from '../../infra/folder-lock.ts'

try {
  lockFolder(process.argv[2] ?? '')
  process.stdout.write('locked\n')
  setInterval(() => {}, 1000)
} catch (error) {
  process.stdout.write(`${(error as Error).name}: ${(error as Error).message}\n`)
}
