import { describe, expect, test } from 'bun:test'
import { StreamsBuilder } from './builder.ts'
import type { GeneratedKStream } from './generated-dsl.ts'
import { unzipped } from './test-helper/bytes.ts'
import { counts, input, other, output, text } from './test-helper/built.ts'
import { topic } from './topic.ts'

interface Scenario {
  readonly name: string
  readonly expected: { readonly describe?: string }
}
const scenarios = await unzipped<readonly Scenario[]>('scenarios/describe')
const expected = (name: string): string | undefined =>
  scenarios.find((scenario) => scenario.name === name)?.expected.describe

type Stream = GeneratedKStream<string, string>
const generated = () => new StreamsBuilder('app', { names: 'generated' })
const upper = (value: string): string => value.toUpperCase()
const always = (): boolean => true
const to = (stream: Stream, name: string): void => stream.to(topic(name, text))

/** All scenarios go through the golden runner; these few show the rules by hand. */
describe('semantics 1.8: the text of the reference', () => {
  test('neighbours stand where their size put them when the edge was made', () => {
    const builder = generated()
    const source = builder.stream(input)
    for (let branch = 0; branch < 12; branch++) {
      let stream = source.mapValues(upper)
      for (let depth = 0; depth < branch % 4; depth++) stream = stream.filter(always)
      to(stream, `o${branch}`)
    }
    const text = builder.build().describe()
    expect(text).toBe(expected('describe-wide-fanout-order') ?? '')
    // Sizes are 2 to 5, and yet: sorted by size it would begin with 10, 24 and 38.
    expect(text).toContain('--> KSTREAM-MAPVALUES-0000000006, KSTREAM-MAPVALUES-0000000038,')
  })

  test('a node that is reached by two ways counts twice', () => {
    const builder = generated()
    const source = builder.stream(input)
    const filtered = source.filter(always)
    const merged = filtered.merge(source.mapValues(upper)).filter(always)
    to(merged.merge(source).merge(filtered), 'o')
    expect(builder.build().describe()).toBe(expected('describe-diamond') ?? '')
  })

  test('branches are called after their splitter', () => {
    const builder = generated()
    const split = builder
      .stream(input)
      .branch([{ predicate: always, suffix: '-x' }, { predicate: always }], {
        node: 'br',
        default: {},
      })
    const [one, two] = split.branches
    if (one !== undefined) to(one, 'o1')
    if (two !== undefined) to(two, 'o2')
    if (split.rest !== undefined) to(split.rest, 'o3')
    expect(builder.build().describe()).toBe(expected('describe-split-partly-named') ?? '')
  })

  test('no text where there are no nodes', () => {
    expect(generated().build().describe()).toBe('Topologies:\n ')
  })

  test('a chosen topic prints what chooses', () => {
    const builder = generated()
    const topicFrom = () => output
    builder.stream(input).to(topicFrom, { topics: [output, other] })
    expect(builder.build().describe()).toContain(
      'Sink: KSTREAM-SINK-0000000001 (extractor class: topicFrom)\n',
    )
  })
})

test('names required: the same counter, so the same text but for what is named', () => {
  const named = new StreamsBuilder('app')
  named.stream(input).filter(always).groupByKey().count('n').toStream().to(counts)
  const drawn = generated()
  const grouped = drawn.stream(input).filter(always).groupByKey()
  grouped.count({ store: 'n' }).toStream().to(counts)
  expect(named.build().describe()).toBe(drawn.build().describe())
})
