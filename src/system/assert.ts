/**
 * What only our own mistake can break is asserted, and stays asserted in production.
 */
export class AssertionError extends Error {
  override readonly name: string = 'AssertionError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}
