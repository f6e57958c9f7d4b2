// `npm run quickstart`: from a fresh checkout to the result of a real backtest, in one command.
// Plain JavaScript for Node 20, without dependencies: it runs before anything is installed.
const leastMajor = 20

if (Number(process.versions.node.split('.')[0]) < leastMajor) {
  console.error(
    `Berth needs Node ${leastMajor} or newer to begin with, and this is ${process.versions.node}: ` +
      'get it from https://nodejs.org, then run the same command again.',
  )
  process.exitCode = 1
} else {
  // Loaded only now: an older Node may not be able to read it.
  const { main } = await import('./quickstart-run.mjs')
  // Nothing that an installation left behind, such as a timer, holds up the end.
  process.exit(await main(process.argv.slice(2)))
}
