import { levelBackend } from './level-store.ts'
import { storeContract } from './store.contract.ts'

/** Write buffers of 64 KiB, so that the suite runs through hundreds of compactions. */
const options = { bootId: 'boot-1', writeBufferBytes: 64 * 1024 }

storeContract('level', {
  backend: (folder) => levelBackend({ folder, ...options }),
  durable: { module: `${import.meta.dir}/level-store.ts`, export: 'levelBackend', options },
})
