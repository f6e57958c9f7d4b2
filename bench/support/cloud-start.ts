// A process that opens an account and asks it for its offers: prints how long that took and what the process holds then.
const [module = '', factory = '', options = '{}'] = process.argv.slice(2)

const began = performance.now()
if (module !== '') {
  const loaded = (await import(module)) as Record<
    string,
    (options: object) => { offers: (signal: AbortSignal) => Promise<unknown> }
  >
  const given = { ...(JSON.parse(options) as object), clock: { now: () => new Date() } }
  await loaded[factory]?.(given).offers(AbortSignal.timeout(30_000))
}
const ms = performance.now() - began
// Not what is only waiting to be collected.
globalThis.gc?.()
console.log(JSON.stringify({ ms, mib: process.memoryUsage().rss / 1024 ** 2 }))
process.exit(0)
