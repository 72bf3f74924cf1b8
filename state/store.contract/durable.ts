/** The section of the store contract for backends that outlive their process: kills, full disks, second processes. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreBackend } from '../store.ts'
import { batchOf, type Drill } from './child.ts'
import { Fold, headerAt, hexLines, location, positionOf, put, rowsOf } from './fixtures.ts'

/** How a child process makes the backend: `(await import(module))[export]({ folder, ...options })`. */
export interface ChildBackend {
  readonly module: string
  readonly export: string
  readonly options: Readonly<Record<string, unknown>>
}

const CHILD = join(import.meta.dir, 'child.ts')

export function durableContract(
  harness: { backend(folder: string): StoreBackend },
  made: ChildBackend,
): void {
  describe('and outlives its process', () => {
    let folder = ''
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'store-durable-'))
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))

    const commandOf = (drill: Drill, part: string): string[] => {
      const plan = JSON.stringify({ ...made, folder: join(folder, part), drill })
      return [process.execPath, CHILD, plan]
    }

    /** What is in the folder is the fold of the batches below its position; returns that position. */
    const verify = async (part: string): Promise<number> => {
      const { store, wiped } = await harness.backend(join(folder, part)).open(location)
      try {
        expect(wiped).toBeUndefined()
        const position = positionOf(store)
        const fold = new Fold()
        for (let number = 0; number < position; number += 1) fold.apply(batchOf(number))
        expect(hexLines(await rowsOf(store))).toEqual(fold.lines())
        if (position > 0) expect(store.header()).toEqual(headerAt(position))
        return position
      } finally {
        await store.close()
      }
    }

    test('R8: `kill -9` during applies loses nothing that was applied, and tears nothing', async () => {
      let killedInside = 0
      let position = 0
      for (let round = 0; round < 12; round += 1) {
        const child = Bun.spawn(commandOf('apply', 'kill'), { stdout: 'pipe', stderr: 'inherit' })
        const steps = stepsOf(child.stdout)
        let last = { begun: position, done: position }
        for await (const step of steps) {
          last = step
          const isInside = step.begun > step.done
          if (isInside && step.done > position + round) {
            await Bun.sleep(Math.random() * 4)
            child.kill('SIGKILL')
            break
          }
        }
        await child.exited
        for await (const step of steps) last = step
        expect(child.signalCode).toBe('SIGKILL')
        if (last.begun > last.done) killedInside += 1
        position = await verify('kill')
        expect(position === last.done || position === last.begun).toBe(true)
      }
      expect(killedInside).toBeGreaterThan(0)
    }, 120_000)

    test('a device that takes no more fails the apply, and the store opens as it was before', async () => {
      const shell = 'trap "" XFSZ; ulimit -f 500; exec "$@"'
      const child = Bun.spawn(['bash', '-c', shell, 'bash', ...commandOf('fill', 'full')], {
        stdout: 'pipe',
        stderr: 'inherit',
      })
      const said = await new Response(child.stdout).text()
      const last = said.trim().split('\n').at(-1) ?? ''
      expect(last).toMatch(/^failed STORE_FAILED STORE_FAILED \d+$/)
      const position = await verify('full')
      expect(position).toBe(Number(last.split(' ').at(-1)))
      expect(position).toBeGreaterThan(0)
    }, 60_000)

    test('another backend finds what was applied, and another process is refused: STORE_LOCKED', async () => {
      const path = join(folder, 'locked')
      const { store } = await harness.backend(path).open(location)
      await store.apply([put('a', '1')], headerAt(1))
      await expect(harness.backend(path).open(location)).rejects.toEqual(
        expect.objectContaining({ code: 'STORE_LOCKED' }),
      )
      for (const drill of ['apply', 'wipe'] as const) {
        const child = Bun.spawnSync(commandOf(drill, 'locked'))
        expect(child.stdout.toString()).toBe('refused STORE_LOCKED\n')
      }
      await store.close()
      const again = (await harness.backend(path).open(location)).store
      expect(hexLines(await rowsOf(again))).toEqual(['61=31'])
      await again.close()
    })
  })
}

interface Step {
  readonly begun: number
  readonly done: number
}

/** The child's lines, as they come; may be read on after a break. */
async function* stepLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Step> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [begun, done] = line.split(' ').map(Number)
      yield { begun: begun ?? 0, done: done ?? 0 }
    }
  }
}

/** Leaving a `for await` would end a generator; this one goes on where it was left. */
function stepsOf(stream: ReadableStream<Uint8Array>): AsyncIterable<Step> {
  const steps = stepLines(stream)
  return { [Symbol.asyncIterator]: () => ({ next: () => steps.next() }) }
}
