/**
 * Hex in tests, and the byte vectors of the reference.
 */
export const hex = (bytes: Uint8Array): string => bytes.toHex()
export const unhex = (text: string): Uint8Array => Uint8Array.fromHex(text)

/** A file of `topology/golden/bytes`, read once. */
export async function vectors<T>(name: string): Promise<T> {
  const file = Bun.file(`${import.meta.dir}/../golden/bytes/${name}.json.gz`)
  const text = new TextDecoder().decode(Bun.gunzipSync(await file.bytes()))
  return JSON.parse(text) as T
}
