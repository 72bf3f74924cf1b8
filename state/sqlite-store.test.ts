import { sqliteBackend } from './sqlite-store.ts'
import { storeContract } from './store.contract.ts'

storeContract('sqlite', {
  backend: (folder) => sqliteBackend({ folder }),
  durable: { module: `${import.meta.dir}/sqlite-store.ts`, export: 'sqliteBackend', options: {} },
})
