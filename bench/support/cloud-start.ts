// A process that opens accounts and asks them for their offers at once: prints how long that took and what the process holds then.
// Each is three arguments: the file of its adapter, the name of what makes one, its options as JSON.
const given = process.argv.slice(2)

const began = performance.now()
async function ask(module: string, factory: string, options: string): Promise<void> {
  const loaded = (await import(module)) as Record<
    string,
    (options: object) => { offers: (signal: AbortSignal) => Promise<unknown> }
  >
  const own = { ...(JSON.parse(options) as object), clock: { now: () => new Date() } }
  await loaded[factory]?.(own).offers(AbortSignal.timeout(30_000))
}
const accounts = Array.from({ length: given.length / 3 }, (_, n) => given.slice(3 * n, 3 * n + 3))
await Promise.all(
  accounts.map(([module = '', factory = '', options = '{}']) => ask(module, factory, options)),
)
const ms = performance.now() - began
// Not what is only waiting to be collected.
globalThis.gc?.()
console.log(JSON.stringify({ ms, mib: process.memoryUsage().rss / 1024 ** 2 }))
process.exit(0)
