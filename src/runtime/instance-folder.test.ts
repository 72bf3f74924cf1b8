import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { takeInstanceFolder, type StatePlace } from './instance-folder.ts'
import { seededRandom } from './test-helpers/test-cluster.ts'

const random = seededRandom(7)
let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-instance-'))
})
afterEach(() => rm(root, { recursive: true }))

const placeOf = (logId: string): StatePlace => ({ stateDir: root, logId })

/** Another process that takes a folder, says which and its id, and keeps it until it is killed. */
async function otherProcess(): Promise<{ folder: string; id: string; kill(): Promise<void> }> {
  const module = new URL('./instance-folder.ts', import.meta.url).href
  const system = new URL('../system/index.ts', import.meta.url).href
  const code = `
    const { takeInstanceFolder } = await import(${JSON.stringify(module)})
    const { systemRandom } = await import(${JSON.stringify(system)})
    const folder = await takeInstanceFolder(
      { stateDir: ${JSON.stringify(root)}, logId: 'log-1' }, 'app', systemRandom)
    folder.remember({ '0_0': 5 })
    console.log(folder.path + ' ' + folder.instanceId)
    setInterval(() => {}, 1000)`
  const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe', stderr: 'inherit' })
  const { value } = await child.stdout.getReader().read()
  const [path = '', id = ''] = new TextDecoder().decode(value).trim().split(' ')
  return {
    folder: basename(path),
    id,
    async kill() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

describe('an instance folder (R23)', () => {
  test('is the lowest free one, and keeps its id', async () => {
    const first = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    const second = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect([basename(first.path), basename(second.path)]).toEqual(['0', '1'])
    expect(first.instanceId).not.toBe(second.instanceId)
    first.release()
    const again = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect(again.path).toBe(first.path)
    expect(again.instanceId).toBe(first.instanceId)
    again.release()
    second.release()
  })

  test('is shared by the applications of a process, each once, whatever the order in which they start', async () => {
    const one = await takeInstanceFolder(placeOf('log-1'), 'one', random)
    const two = await takeInstanceFolder(placeOf('log-1'), 'two', random)
    expect(two.path).toBe(one.path)
    one.release()
    const three = await takeInstanceFolder(placeOf('log-1'), 'three', random)
    expect(three.path).toBe(two.path)
    two.release()
    three.release()
  })

  test('of a living process is passed by; of a killed one it is taken with its id', async () => {
    const other = await otherProcess()
    expect(other.folder).toBe('0')
    const mine = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect(basename(mine.path)).toBe('1')
    await other.kill()
    const inherited = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect(basename(inherited.path)).toBe('0')
    expect(inherited.instanceId).toBe(other.id)
    expect(inherited.heldBefore()).toEqual({ '0_0': 5 })
    inherited.release()
    mine.release()
  })

  test('remembers what each application held, and nothing after it was let go', async () => {
    const folder = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect(folder.heldBefore()).toEqual({})
    folder.remember({ '0_0': 5 })
    folder.remember({ '0_1': 7 })
    expect(folder.heldBefore()).toEqual({ '0_0': 5, '0_1': 7 })
    folder.release()
    folder.remember({ '0_2': 1 })
    const again = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect(again.heldBefore()).toEqual({ '0_0': 5, '0_1': 7 })
    again.release()
    const other = await takeInstanceFolder(placeOf('log-1'), 'other', random)
    expect(other.heldBefore()).toEqual({})
    other.release()
  })

  test('is of one log: another log gets one of its own, and the first finds its state again (R6)', async () => {
    const first = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    // Held by this process, and let go of.
    const beside = await takeInstanceFolder(placeOf('log-2'), 'other', random)
    expect([basename(first.path), basename(beside.path)]).toEqual(['0', '1'])
    first.release()
    beside.release()
    const other = await takeInstanceFolder(placeOf('log-2'), 'app', random)
    expect(other.path).toBe(beside.path)
    expect(other.instanceId).toBe(beside.instanceId)
    other.release()
    const again = await takeInstanceFolder(placeOf('log-1'), 'app', random)
    expect(again.path).toBe(first.path)
    again.release()
  })
})
