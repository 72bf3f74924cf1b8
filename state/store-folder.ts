/**
 * Where a store lives: `<folder>/<application id>/<task id>/<store name>`.
 *
 * Invariant: the parts are names, never paths, so no store can reach out of its folder.
 */
import { assert } from '#system'
import type { StoreLocation } from './store.ts'

/** The location as one text, for messages and maps. */
export function locationText(location: StoreLocation): string {
  const { applicationId, taskId, storeName } = location
  for (const name of [applicationId, taskId, storeName]) assertName(name)
  return `${applicationId}/${taskId}/${storeName}`
}

export function storeFolder(folder: string, location: StoreLocation): string {
  return `${folder}/${locationText(location)}`
}

/** The characters of a topic name, because stores and applications give topics their names. */
function assertName(name: string): void {
  const isName = /^[A-Za-z0-9._-]+$/.test(name) && name !== '.' && name !== '..'
  assert(
    isName,
    `"${name}" cannot name a folder: letters, digits, dots, dashes and underscores can`,
  )
}
