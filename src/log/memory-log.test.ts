import { logContract } from './log.contract.ts'
import { createMemoryLog } from './memory-log.ts'

logContract('the memory log', {
  sections: ['core'],
  async open() {
    const log = createMemoryLog()
    return {
      log,
      settleMaintenance: () => log.settleMaintenance(),
      startLeaderEpoch: async (partition) => log.startLeaderEpoch(partition),
      dispose: () => log.close(),
    }
  },
})
