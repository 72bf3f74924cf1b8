/** What `bun run topology` takes of memory while it remembers a million order ids, and what each further one costs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, partitionFor, type Log, type LogWriter } from '#log'
import { caughtUp, ServerProcess } from './child.ts'
import { median, type Figure } from './figure.ts'
import { orderBatches, orderOf, type Order } from './orders.ts'

const ORDERS = 'orders'
const STEP_MS = 5
const HOURS_AGO_MS = 6 * 3_600_000
const CHUNK = 20_000
const MB = 2 ** 20
const SAMPLES = 11

export interface ResidentOptions {
  readonly ids: number
  /** How many more are there at each further look. */
  readonly further: readonly number[]
  /** How long a process is left alone before it is looked at. */
  readonly settleMs: number
}

export async function resident(options: ResidentOptions): Promise<readonly Figure[]> {
  const { ids, further } = options
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const lab = new Lab(`sqlite:${join(folder, 'campus.db')}`, options.settleMs)
  try {
    await lab.open()
    await lab.append(0, ids)
    const caught = await lab.look()
    const first = await lab.restart()
    // The same orders again: the log grows, and nothing more is remembered.
    await lab.append(0, ids)
    const longer = await lab.restart()
    const grown: { readonly more: number; readonly now: number }[] = []
    let appended = ids
    for (const more of further) {
      await lab.append(appended, ids + more - appended)
      appended = ids + more
      grown.push({ more, now: (await lab.restart()).now })
    }
    const checksum = `${lab.orders} orders on the log`
    const megabytes = { bench: 'resident', repeats: 1, checksum, unit: 'MB' }
    const bytes = { ...megabytes, unit: 'bytes', ceiling: 100 }
    const held = `with ${ids} ids`
    return [
      { ...megabytes, name: `${held}, after catching up`, value: caught.now / MB, ceiling: 400 },
      { ...megabytes, name: `${held}, the most meanwhile`, value: caught.most / MB },
      { ...megabytes, name: `${held}, after a restart`, value: first.now / MB, ceiling: 400 },
      {
        ...megabytes,
        name: `${held}, a log twice as long`,
        value: longer.now / MB,
        note: `grown by ${((longer.now - first.now) / MB).toFixed(0)} MB`,
      },
      ...grown.flatMap(({ more, now }) => [
        { ...megabytes, name: `with ${ids + more} ids, after a restart`, value: now / MB },
        { ...bytes, name: `a further id, of ${more}`, value: (now - longer.now) / more },
      ]),
    ]
  } finally {
    await lab.close()
    rmSync(folder, { recursive: true })
  }
}

interface Look {
  readonly now: number
  readonly most: number
}

/** A campus, and the log that its orders are put on from outside. */
class Lab {
  readonly #url: string
  readonly #settleMs: number
  readonly #firstMs = Date.now() - HOURS_AGO_MS
  #campus: ServerProcess | undefined
  #log: Log | undefined
  #items: readonly string[] = []
  orders: number = 0

  constructor(url: string, settleMs: number) {
    this.#url = url
    this.#settleMs = settleMs
  }

  async open(): Promise<void> {
    const campus = await this.#start()
    const shelves = await campus.get<readonly { readonly item_id: string }[]>('/inventory')
    this.#items = shelves.map(({ item_id }) => item_id)
    this.#log = await openLog(this.#url, { create: false })
  }

  async append(first: number, count: number): Promise<void> {
    const writer = await this.#log?.writer()
    const [topic] = (await this.#log?.describeTopics([ORDERS])) ?? []
    if (writer === undefined || topic === undefined) throw new Error('campus makes its topics')
    for (let from = first; from < first + count; from += CHUNK) {
      const to = Math.min(from + CHUNK, first + count)
      await this.#appendChunk(writer, topic.partitions, from, to)
    }
    await writer.close()
    this.orders += count
  }

  async look(): Promise<Look> {
    const campus = this.#campus ?? (await this.#start())
    await caughtUp(campus)
    await Bun.sleep(this.#settleMs)
    const samples: number[] = []
    for (let n = 0; n < SAMPLES; n += 1) {
      samples.push(campus.residentBytes('VmRSS'))
      await Bun.sleep(this.#settleMs / SAMPLES)
    }
    return { now: median(samples), most: campus.residentBytes('VmHWM') }
  }

  /** A fresh process that finds everything decided. */
  async restart(): Promise<Look> {
    const campus = this.#campus ?? (await this.#start())
    await caughtUp(campus)
    await campus.stop()
    await this.#start()
    return this.look()
  }

  async close(): Promise<void> {
    await this.#campus?.stop()
    await this.#log?.close()
  }

  async #start(): Promise<ServerProcess> {
    this.#campus = await ServerProcess.campus(this.#url)
    return this.#campus
  }

  async #appendChunk(
    writer: LogWriter,
    partitions: number,
    from: number,
    to: number,
  ): Promise<void> {
    const byPartition = Array.from({ length: partitions }, (): Order[] => [])
    for (let number = from; number < to; number += 1) {
      const item_id = this.#items[number % this.#items.length] ?? ''
      const timestamp = this.#firstMs + number * STEP_MS
      const order = { ...orderOf(number), item_id, timestamp }
      byPartition[partitionFor(Buffer.from(item_id), partitions)]?.push(order)
    }
    await Promise.all(
      byPartition.map(async (orders, partition) => {
        if (orders.length === 0) return
        await writer.append({ topic: ORDERS, partition, ...orderBatches(orders) })
      }),
    )
  }
}
