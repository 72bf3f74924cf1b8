/** The program as a person starts and stops it: signals, mistakes, and what is left behind. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog } from '#millrace'
import { checkCampus } from './invariants.ts'
import { Application } from './scenarios/application.ts'
import { Client } from './scenarios/client.ts'
import { eventually } from './test-helper/eventually.ts'
import { readRecords } from './test-helper/read-records.ts'
import { inventoryEvents, orders, stock } from './topics.ts'

const MAIN = join(import.meta.dir, 'main.ts')
const BODY = { item_id: 'burger', qty: 1, user_id: 'u1' }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'campus-main-'))
})
afterEach(() => {
  chmodSync(folder, 0o755)
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** To its end, which must come by itself. */
async function run(...flags: readonly string[]): Promise<Ended> {
  const child = Bun.spawn([process.execPath, MAIN, ...flags], {
    cwd: folder,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 15_000,
    killSignal: 'SIGKILL',
  })
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, out, err }
}

/** One line that says what, exit code 2, and no word of readiness. */
function expectMistake({ code, out, err }: Ended, ...says: readonly string[]): void {
  expect(err.trimEnd().split('\n')).toHaveLength(1)
  expect(err).toStartWith('campus: ')
  for (const what of says) expect(err).toContain(what)
  expect(out).toBe('')
  expect(code).toBe(2)
}

const filesOf = (path: string): readonly string[] => readdirSync(path).sort()

describe('a mistake is one line and exit code 2, and leaves nothing behind:', () => {
  test.each([
    ['an unknown flag', ['--prot', '8000'], '--prot'],
    ['a word too many', ['burger'], 'burger'],
    ['a flag without its value', ['--port'], '--port'],
    ['a port that is none', ['--port', '70000'], '--port'],
    ['a port that is no number', ['--port', 'http'], '--port'],
    ['no workers', ['--workers', '0'], '--workers'],
    ['an unknown application', ['--only', 'kitchen'], 'kitchen'],
    ['an unknown kind of log', ['--port', '0', '--log', 'postgres://x'], 'sqlite:PATH'],
    ['brokers out of reach', ['--port', '0', '--log', 'kafka://x.invalid:9092'], 'x.invalid:9092'],
  ])(
    '%s',
    async (_what, flags, says) => {
      expectMistake(await run(...flags), says)
      // Where no log was opened, not even the folder for one is made.
      expect(filesOf(folder)).toEqual([])
    },
    // Brokers are given ten seconds to show up.
    20_000,
  )

  test('a port that is taken', async () => {
    const other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('mine') })
    try {
      const ended = await run('--port', String(other.port), '--log', 'sqlite:data/campus.db')
      expectMistake(ended, 'port', '--port')
      expect(await (await fetch(other.url)).text()).toBe('mine')
      expect(filesOf(folder)).toEqual([])
    } finally {
      await other.stop(true)
    }
  })

  test('a file that is no database', async () => {
    const path = join(folder, 'campus.db')
    const text = 'my diary\n'.repeat(1_000)
    await Bun.write(path, text)
    expectMistake(await run('--port', '0', '--log', `sqlite:${path}`), path)
    expect(await Bun.file(path).text()).toBe(text)
    expect(filesOf(folder)).toEqual(['campus.db'])
  })

  test('another program’s database', async () => {
    const path = join(folder, 'campus.db')
    const other = new Database(path)
    other.run('CREATE TABLE diary (text TEXT)')
    other.run("INSERT INTO diary VALUES ('dear diary')")
    other.close()
    const before = await Bun.file(path).bytes()
    expectMistake(await run('--port', '0', '--log', `sqlite:${path}`), path)
    expect(await Bun.file(path).bytes()).toEqual(before)
    expect(filesOf(folder)).toEqual(['campus.db'])
  })

  test('a log of a newer format', async () => {
    const path = join(folder, 'campus.db')
    await (await openLog(`sqlite:${path}`)).close()
    const bytes = await Bun.file(path).bytes()
    // The format is in bytes 60 to 63 of an SQLite file.
    bytes.set([0, 0, 0, 99], 60)
    await Bun.write(path, bytes)
    expectMistake(await run('--port', '0', '--log', `sqlite:${path}`), path, 'upgrade')
  })

  test('a folder where a file should be', async () => {
    mkdirSync(join(folder, 'campus.db'))
    expectMistake(await run('--port', '0', '--log', `sqlite:${join(folder, 'campus.db')}`))
    expect(filesOf(folder)).toEqual(['campus.db'])
  })

  test('a file where a folder should be', async () => {
    await Bun.write(join(folder, 'data'), 'a file')
    expectMistake(await run('--port', '0', '--log', 'sqlite:data/campus.db'), 'choose another path')
    expect(filesOf(folder)).toEqual(['data'])
  })

  // Root may write anywhere, so only what no user can write is left to try.
  test('a place where nothing can be written', async () => {
    expectMistake(await run('--port', '0', '--log', 'sqlite:/proc/campus/campus.db'))
    if (process.getuid?.() === 0) return
    chmodSync(folder, 0o555)
    expectMistake(await run('--port', '0', '--log', `sqlite:${folder}/campus.db`), '--log')
    expect(filesOf(folder)).toEqual([])
  })

  test('another number of partitions than the log was made with', async () => {
    const log = `sqlite:${join(folder, 'campus.db')}`
    const first = new Running('--port', '0', '--log', log, '--partitions', '2')
    await first.ready
    expect(await first.stop()).toBe(0)
    expectMistake(await run('--port', '0', '--log', log, '--partitions', '3'), 'partitions')
    expectMistake(await run('--port', '0', '--log', log), 'partitions')
  })
})

test('--help says what there is, and does nothing', async () => {
  const { code, out, err } = await run('--help')
  expect(code).toBe(0)
  expect(out).toContain('--partitions N')
  expect(err).toBe('')
  expect(filesOf(folder)).toEqual([])
})

/** A campus of this test's folder. */
class Running {
  readonly child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  readonly ready: Promise<string>
  readonly #err: Promise<string>

  constructor(...flags: readonly string[]) {
    this.child = Bun.spawn([process.execPath, MAIN, ...flags], {
      cwd: folder,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: 60_000,
      killSignal: 'SIGKILL',
    })
    this.#err = new Response(this.child.stderr).text()
    this.ready = this.#url()
  }

  async #url(): Promise<string> {
    let text = ''
    for await (const chunk of this.child.stdout) {
      text += new TextDecoder().decode(chunk)
      const url = /^campus is ready on (http:\S+) in \d+\.\d\d s$/m.exec(text)?.[1]
      if (url !== undefined) return url
    }
    throw new Error(`it never was ready: ${text}${await this.#err}`)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.child.kill(signal)
    return this.child.exited
  }

  err(): Promise<string> {
    return this.#err
  }
}

async function verdicts(log: string) {
  const opened = await openLog(log, { create: false })
  try {
    const feeds = {
      orders: await readRecords(opened, orders.name),
      stock: await readRecords(opened, stock.name),
      'inventory-events': await readRecords(opened, inventoryEvents.name),
    }
    return { placed: feeds.orders.length, report: await checkCampus(feeds, { complete: false }) }
  } finally {
    await opened.close()
  }
}

describe('a signal', () => {
  test('while it starts stops it as soon as it has started', async () => {
    const log = `sqlite:${join(folder, 'campus.db')}`
    const running = new Running('--port', '0', '--log', log)
    while (!existsSync(join(folder, 'campus.db'))) await Bun.sleep(1)
    const [code] = await Promise.all([running.stop(), running.ready.catch(() => {})])
    expect(code).toBe(0)
    expect(await running.err()).toBe('')
    const next = new Running('--port', '0', '--log', log)
    await next.ready
    expect(await next.stop()).toBe(0)
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    test(`${signal} under load drains, commits, exits 0, and what was answered is there`, async () => {
      const log = `sqlite:${join(folder, 'campus.db')}`
      const running = new Running('--port', '0', '--log', log)
      const client = new Client(await promiseOf(running.ready))
      const accepted: string[] = []
      let isStopped = false
      const post = async (user: number): Promise<void> => {
        for (let number = 0; !isStopped; number += 1) {
          const key = { 'idempotency-key': `${user}-${number}` }
          const answer = await client.post('/order', BODY, key)
          if (answer?.status === 202) accepted.push((answer.body as { order_id: string }).order_id)
          else isStopped = true
        }
      }
      const users = Array.from({ length: 8 }, (_, user) => post(user))
      await eventually(() => accepted.length >= 100, 'a hundred orders are accepted', 4_000)
      expect(await running.stop(signal)).toBe(0)
      await Promise.all(users)
      expect(await running.err()).toBe('')
      const { placed, report } = await verdicts(log)
      expect(report.violations).toEqual([])
      expect(placed).toBeGreaterThanOrEqual(accepted.length)

      // The next start decides what was left, and nothing of what was answered is lost.
      const again = new Running('--port', '0', '--log', log)
      const url = await again.ready
      for (const id of accepted.slice(-20)) {
        const found = await new Client(() => url).waitFor<{ status: string }>(
          `/orders/${id}`,
          ({ status }) => status === 'reserved',
          10_000,
        )
        expect(found?.status).toBe('reserved')
      }
      expect(await again.stop()).toBe(0)
      expect((await again.err()).trim()).toBe('')
    })

  test('a second one stops at once', async () => {
    const log = `sqlite:${join(folder, 'campus.db')}`
    const running = new Running('--port', '0', '--log', log)
    const url = await running.ready
    // A request that never ends keeps the first from finishing.
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: Number(new URL(url).port),
      socket: { data: () => {} },
    })
    socket.write('POST /order HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n')
    socket.write('content-length: 1000\r\n\r\n{')
    await fetch(`${url}/healthz`)
    running.child.kill('SIGTERM')
    // It is stopping once it takes nobody any more.
    const isTaking = async (): Promise<boolean> =>
      fetch(`${url}/healthz`).then(
        () => true,
        () => false,
      )
    await eventually(async () => !(await isTaking()), 'it takes nobody any more', 4_000)
    expect(running.child.exitCode).toBeNull()
    expect(await running.stop('SIGTERM')).toBe(130)
    socket.end()
    const next = new Running('--port', '0', '--log', log)
    await next.ready
    expect(await next.stop()).toBe(0)
  })
})

describe('a retry after kill -9', () => {
  test('gets the first answer again, and the order one verdict', async () => {
    const application = new Application()
    try {
      await application.start()
      const post = async (): Promise<string> => {
        const response = await fetch(`${application.url}/order`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': 'survivor' },
          body: JSON.stringify(BODY),
        })
        expect(response.status).toBe(202)
        return response.text()
      }
      const first = await post()
      await application.kill()
      await application.start()
      expect(await post()).toBe(first)
      const { order_id } = JSON.parse(first) as { order_id: string }
      const client = new Client(() => application.url)
      const isDecided = ({ status }: { status: string }): boolean => status === 'reserved'
      expect(await client.waitFor(`/orders/${order_id}`, isDecided, 10_000)).toBeDefined()
      await application.stop()
      const { report } = await verdicts(application.log)
      expect(report).toMatchObject({ orders: 1, reserved: 1, violations: [] })
      expect(application.complaints).toEqual([])
    } finally {
      await application.remove()
    }
  })
})

/** The address as `Client` asks for it. */
async function promiseOf(ready: Promise<string>): Promise<() => string> {
  const url = await ready
  return () => url
}
