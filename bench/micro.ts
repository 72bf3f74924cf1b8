/** The pieces one by one: what a record, a key or a row costs in each, as mitata measures it. */
import { measure } from 'mitata'
import type { Figure } from './figure.ts'
import { codecPieces } from './micro-codec.ts'
import { pipelinePieces } from './micro-pipeline.ts'
import { storePieces } from './micro-stores.ts'
import type { Piece, Pieces } from './piece.ts'

const MAKERS: readonly (() => Promise<Pieces>)[] = [codecPieces, storePieces, pipelinePieces]

export async function micro({
  isSmoke,
}: {
  readonly isSmoke: boolean
}): Promise<readonly Figure[]> {
  const figures: Figure[] = []
  for (const make of MAKERS) {
    const { pieces, close } = await make()
    for (const piece of pieces) figures.push(await figureOf(piece, isSmoke))
    await close()
  }
  return figures
}

async function figureOf(piece: Piece, isSmoke: boolean): Promise<Figure> {
  const { name, of, count } = piece
  const before = await piece.run()
  const quick = { min_cpu_time: 1, min_samples: 2, max_samples: 4, warmup_samples: 1 }
  const stats = await measure(() => piece.run(), isSmoke ? quick : {})
  const after = await piece.run()
  if (after !== before) throw new Error(`${name}: ${before} at first, ${after} at last`)
  return {
    bench: 'micro',
    name,
    unit: `ns a ${of}`,
    value: stats.p50 / count,
    min: stats.min / count,
    max: stats.p99 / count,
    repeats: stats.samples.length,
    note: `the most is the 99th percentile; ${count} at a time; checksum ${before}`,
  }
}
