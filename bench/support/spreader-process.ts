// The balancer as a process of its own, so that it waits for nothing else: tells its address, and is told the servers.
import { openSpreader } from '../../test/support/spreader.ts'

const spreader = await openSpreader()
process.on('message', (servers: string[]) => spreader.servers(servers))
process.on('disconnect', () => process.exit(0))
process.send?.(spreader.url)
