/**
 * The process that the durable section starts to be killed, or to run out of space: applies one planned batch after the other,
 * and says on standard output which batch has begun and which is done.
 */
import { writeSync } from 'node:fs'
import { StateError, type StoreBackend, type StoreChange } from '../store.ts'
import { changesFor, headerAt, location, positionOf } from './fixtures.ts'

/** `apply` goes on until it is killed, `fill` until an apply fails, neither for ever; `wipe` applies nothing. */
export type Drill = 'apply' | 'fill' | 'wipe'

const BATCHES_MAX: Readonly<Record<Drill, number>> = { apply: 100_000, fill: 1_000, wipe: 0 }

/** Batch `number` of the plan; every fifth is large, so that a kill finds it half written. */
export function batchOf(number: number): StoreChange[] {
  const count = number % 5 === 4 ? 8_000 : 200
  return changesFor({ seed: number, count, keys: 10_000, valueBytesMax: 200 })
}

interface Plan {
  readonly module: string
  readonly export: string
  readonly options: Readonly<Record<string, unknown>>
  readonly folder: string
  readonly drill: Drill
}

async function main(plan: Plan): Promise<void> {
  const make = (await import(plan.module))[plan.export] as (options: object) => StoreBackend
  const backend = make({ ...plan.options, folder: plan.folder })
  if (plan.drill === 'wipe') return backend.wipe(location)
  const { store } = await backend.open(location)
  for (let position = positionOf(store); position < BATCHES_MAX[plan.drill]; position += 1) {
    writeSync(1, `${position + 1} ${position}\n`)
    try {
      await store.apply(batchOf(position), headerAt(position + 1))
    } catch (error) {
      // Said twice: what failed once is refused from then on.
      const next = await store.apply([], headerAt(position + 2)).catch((again: unknown) => again)
      writeSync(1, `failed ${codeOf(error)} ${codeOf(next)} ${position}\n`)
      await store.close().catch(() => {})
      return
    }
    writeSync(1, `${position + 1} ${position + 1}\n`)
  }
}

function codeOf(error: unknown): string {
  return error instanceof StateError ? error.code : String(error)
}

if (import.meta.main) {
  await main(JSON.parse(process.argv[2] ?? '') as Plan).catch((error: unknown) => {
    writeSync(1, `refused ${codeOf(error)}\n`)
  })
}
