/**
 * A topology from where it is exported: how a thread, or a tool, gets one whose closures cannot be sent to it.
 *
 * Invariant: what is returned is a topology; anything else the export may be is refused with its name.
 */
import { TopologyError, type Topology } from '#topology'
import { isTopologyModule, type TopologySource } from './streams-options.ts'

export async function loadTopology(source: TopologySource): Promise<Topology> {
  if (!isTopologyModule(source)) return source
  const exports: unknown = await import(source.module)
  const found: unknown =
    typeof exports === 'object' && exports !== null
      ? Reflect.get(exports, source.export)
      : undefined
  const topology = await built(found)
  if (topology !== undefined) return topology
  throw new TopologyError(
    'OPTION_INVALID',
    `${source.module} exports no topology as ${source.export}: export one, its builder, or a function that returns one`,
  )
}

async function built(found: unknown): Promise<Topology | undefined> {
  if (typeof found === 'function') return built(await Reflect.apply(found, undefined, []))
  if (typeof found !== 'object' || found === null) return undefined
  if ('build' in found && typeof found.build === 'function') return built(found.build())
  return isTopology(found) ? found : undefined
}

function isTopology(found: object): found is Topology {
  return 'applicationId' in found && 'subTopologies' in found && 'internalTopics' in found
}
