import { expect, test } from 'bun:test'
import { counts, input, named } from './test-helper/built.ts'
import { tumbling } from './windows.ts'

function topology() {
  const builder = named()
  builder
    .stream(input)
    .dedupe('seen', { by: (value) => value, withinMs: 5 })
    .selectKey((value) => value)
    .repartition('r')
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: 10, graceMs: 1 }))
    .count('n', { emit: 'on-close' })
    .toStream()
    .selectKey((_, { key }) => key)
    .to(counts)
  return builder.build()
}

test('Mermaid: topics outside, nodes and stores inside their sub-topology', () => {
  expect(topology().toMermaid()).toBe(`flowchart TD
  n0[/"in"/]
  n1[/"r-repartition"/]
  n2[/"counts"/]
  subgraph sub0["sub-topology 0"]
    n3["source · KSTREAM-SOURCE-0000000000"]
    n4["dedupe within 5 ms · KSTREAM-DEDUPE-0000000001"]
    n5["select key · KSTREAM-KEY-SELECT-0000000002"]
    n6["drop null keys · r-repartition-filter"]
    n7["sink · r-repartition-sink"]
    n8[("seen")]
  end
  subgraph sub1["sub-topology 1"]
    n9["source · r-repartition-source"]
    n10["aggregate by window 10 + 1 ms, on-close · KSTREAM-AGGREGATE-0000000006"]
    n11["to stream · KTABLE-TOSTREAM-0000000007"]
    n12["select key · KSTREAM-KEY-SELECT-0000000008"]
    n13["sink · KSTREAM-SINK-0000000009"]
    n14[("n")]
  end
  n0 --> n3
  n3 --> n4
  n4 -.- n8
  n4 --> n5
  n5 --> n6
  n6 --> n7
  n7 --> n1
  n1 --> n9
  n9 --> n10
  n10 -.- n14
  n10 --> n11
  n11 --> n12
  n12 --> n13
  n13 --> n2
`)
})

test('DOT: the same edges, names quoted', () => {
  const dot = topology().toDot()
  expect(dot.match(/ -> /g)).toHaveLength(
    topology()
      .toMermaid()
      .match(/ (-->|-\.-) /g)?.length ?? 0,
  )
  expect(dot).toStartWith('digraph "app" {\n  node [shape=box]\n')
  expect(dot).toContain('  "r-repartition-sink" -> "topic r-repartition"\n')
  expect(dot).toContain('  "KSTREAM-DEDUPE-0000000001" -> "store seen" [style=dashed dir=none]\n')
  expect(dot.match(/\{/g)?.length).toBe(dot.match(/\}/g)?.length ?? 0)
})

test('a chosen topic is drawn by the name of what chooses', () => {
  const builder = named()
  const pick = () => input
  builder.stream(input).to(pick, [input])
  expect(builder.build().toMermaid()).toContain('[/"pick(…)"/]')
})
