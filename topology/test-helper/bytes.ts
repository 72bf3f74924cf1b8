/**
 * Hex in tests, and the vectors of the reference.
 */
export const hex = (bytes: Uint8Array): string => bytes.toHex()
export const unhex = (text: string): Uint8Array => Uint8Array.fromHex(text)

/** A JSON file below `topology/golden`, where they are kept compressed. */
export async function unzipped<T>(path: string): Promise<T> {
  const file = Bun.file(`${import.meta.dir}/../golden/${path}.json.gz`)
  const text = new TextDecoder().decode(Bun.gunzipSync(await file.bytes()))
  return JSON.parse(text) as T
}

/** A file of `topology/golden/bytes`. */
export function vectors<T>(name: string): Promise<T> {
  return unzipped<T>(`bytes/${name}`)
}
