// What Node compiles is kept, so that the next start does not do it again.
import { enableCompileCache } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { homeOf } from './home.ts'

/**
 * Keeps it in the user's own folder, or where NODE_COMPILE_CACHE says. Node's own choice is a folder of temporary files, where another
 * user of the machine could lay down what this one would run. Where it cannot be kept nothing is said: it is compiled again.
 */
export function keepCompiled(env: NodeJS.ProcessEnv = process.env): void {
  const folder = env['NODE_COMPILE_CACHE'] || ownFolder(env)
  if (folder) enableCompileCache(folder)
}

function ownFolder(env: NodeJS.ProcessEnv): string | null {
  const caches = env['XDG_CACHE_HOME'] || join(homeOf() ?? '', '.cache')
  // From here it would be a folder of whoever owns this one.
  return isAbsolute(caches) ? join(caches, 'berth', 'node') : null
}
