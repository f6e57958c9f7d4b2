// What Node compiles is kept, so that the next start does not do it again.
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Keeps it in the user's own folder, or where NODE_COMPILE_CACHE says. Node's own choice is a folder of temporary files, where another
 * user of the machine could lay down what this one would run. Where it cannot be kept nothing is said: it is compiled again.
 */
export function keepCompiled(env: NodeJS.ProcessEnv = process.env): void {
  enableCompileCache(
    env['NODE_COMPILE_CACHE'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'berth', 'node'),
  )
}
