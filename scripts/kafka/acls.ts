/**
 * Rights on a cluster with `sasl` or `tls`, given and taken by Kafka's own tool.
 *
 * Invariant: goes through the listener without names, whose visitors may do everything.
 */
import { flags, runTool } from './java-tool.ts'

export interface Right {
  readonly user: string
  readonly resource: 'topic' | 'group' | 'transactional-id' | 'cluster'
  /** Left out for `cluster`. */
  readonly name?: string
  readonly isPrefix?: boolean
  readonly operations: readonly string[]
}

export async function grant(bootstrap: string, rights: readonly Right[]): Promise<void> {
  await change(bootstrap, '--add', rights)
}

export async function revoke(bootstrap: string, rights: readonly Right[]): Promise<void> {
  await change(bootstrap, '--remove', rights)
}

async function change(
  bootstrap: string,
  how: '--add' | '--remove',
  rights: readonly Right[],
): Promise<void> {
  for (const { user, resource, name, isPrefix = false, operations } of rights) {
    await runTool({
      tool: 'AclCommand',
      args: [
        how,
        '--force',
        ...flags({ 'bootstrap-server': bootstrap, 'allow-principal': `User:${user}` }),
        ...(name === undefined ? [`--${resource}`] : [`--${resource}`, name]),
        ...flags({ 'resource-pattern-type': isPrefix ? 'prefixed' : 'literal' }),
        ...operations.flatMap((operation) => ['--operation', operation]),
      ],
    })
  }
}
