/**
 * What a start that takes long is waiting for: the step it is at, and what was last heard of each application.
 *
 * Invariant: says nothing of what is over; listening costs nothing once the start is.
 */
import type { Happening } from '#millrace'

interface Heard {
  state: string
  rebalance: string | undefined
  readonly tasks: Map<string, string>
  trouble: string | undefined
}

export class StartProgress {
  #step = 'its port'
  readonly #heard = new Map<string, Heard>()
  #isOver = false

  step(what: string): void {
    this.#step = what
  }

  end(): void {
    this.#isOver = true
    this.#heard.clear()
  }

  observe(happening: Happening): void {
    if (this.#isOver || happening.kind === 'commit') return
    const { applicationId } = happening
    const heard = this.#heard.get(applicationId) ?? nothing()
    this.#heard.set(applicationId, heard)
    if (happening.kind === 'state') heard.state = happening.state
    if (happening.kind === 'task-state') heard.tasks.set(happening.taskId, happening.state)
    if (happening.kind === 'recovering') heard.trouble = String(happening.cause)
    if (happening.kind === 'rebalance') {
      const { generation, tasks } = happening
      heard.rebalance = `generation ${generation} gave it ${tasks.length} tasks`
      heard.tasks.clear()
    }
  }

  /** `its applications (campus-inventory: rebalancing, no assignment yet)`. */
  toString(): string {
    const waiting = [...this.#heard].filter(([, { state }]) => state !== 'running')
    const texts = waiting.map(([id, heard]) => `${id}: ${textOf(heard)}`)
    return texts.length === 0 ? this.#step : `${this.#step} (${texts.join('; ')})`
  }
}

function nothing(): Heard {
  return { state: 'created', rebalance: undefined, tasks: new Map(), trouble: undefined }
}

function textOf({ state, rebalance, tasks, trouble }: Heard): string {
  const parts = [state, rebalance ?? 'no assignment yet']
  const unready = [...tasks].filter(([, taskState]) => taskState !== 'running')
  if (unready.length > 0) parts.push(unready.map((pair) => pair.join(' ')).join(', '))
  if (trouble !== undefined) parts.push(`tries again after ${trouble}`)
  return parts.join(', ')
}
