/** A program of a bench that reports in its last line: run to its end, or kept up until it is told to stop. */

export type ReportProcess = Bun.Subprocess<'pipe' | 'ignore', 'pipe', 'inherit'>

export interface Serving<T> {
  /** Lets it end, and tells what it has used since its start. */
  stop(): Promise<T>
}

/** `what` names it where it fails. */
export async function reportOf<T>(what: string, child: ReportProcess): Promise<T> {
  const [output, code] = await Promise.all([child.stdout.text(), child.exited])
  if (code !== 0) throw new Error(`${what} has failed (${code})`)
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as T
}

/** Resolves with the first line, which says that it runs; the end of its input is the order to end. */
export async function serving<T>(what: string, child: ReportProcess): Promise<Serving<T>> {
  const lines = linesOf(child.stdout)
  await lines.next()
  return {
    async stop() {
      await child.stdin?.end()
      let last = ''
      for await (const line of lines) last = line
      const code = await child.exited
      if (code !== 0) throw new Error(`${what} has failed (${code})`)
      return JSON.parse(last) as T
    },
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
