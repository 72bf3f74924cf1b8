import { MemoryBackend } from './memory-store.ts'
import { storeContract } from './store.contract.ts'

storeContract('memory', { backend: () => new MemoryBackend() })
