/** What the machine gives, handed in: time, chance, bytes, and places where a drill may stop the process. */
export { assert, AssertionError } from './assert.ts'
export { readBootId } from './boot-id.ts'
export { asBuffer, ByteWriter, readInt64 } from './byte-writer.ts'
export { delay, systemClock, type CancelTimer, type Clock } from './clock.ts'
export { killAtFailpoint, noFailpoint, type Failpoint } from './failpoints.ts'
export { noObserver, type Happening, type Observer } from './observer.ts'
export { jitteredBackoffMs, systemRandom, type Random } from './random.ts'
