/**
 * `bun guard.ts DIR`: takes the cluster in DIR down when its standard input ends.
 *
 * Invariant: outlives the process that holds the other end of the pipe, and nothing else; it ignores Ctrl-C.
 */
import { openCluster } from './start-cluster.ts'

const [dir = ''] = process.argv.slice(2)
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
await Bun.stdin.text()
const cluster = await openCluster(dir)
await cluster?.down()
