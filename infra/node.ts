// `npm start`: the server on Node. What is compiled of it is kept for the next start, which takes two thirds of the time then.
import { keepCompiled } from '../cli/compile-cache.ts'

keepCompiled()
const [{ main }, { loadConfig }] = await Promise.all([import('./serve.ts'), import('./config.ts')])
try {
  await main(loadConfig())
  process.exit(0)
} catch (error) {
  console.error(`berth: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
