import { expect, test } from 'bun:test'
import { Frames, framed } from './frames.ts'
import { readRequest } from './requests.ts'

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('frames come out whole, however the bytes are cut', () => {
  const all = Buffer.concat(['one', '', 'three and more'].map((text) => framed(Buffer.from(text))))
  for (let size = 1; size <= all.length; size += 1) {
    const frames = new Frames()
    const found: string[] = []
    for (let at = 0; at < all.length; at += size)
      found.push(...frames.push(all.subarray(at, at + size)).map(String))
    expect(found).toEqual(['one', '', 'three and more'])
  }
})

test('what is no frame of Kafka is refused', () => {
  expect(() => new Frames().push(Buffer.from('GET / HTTP/1.1'))).toThrow('no frame of Kafka')
})

test('a request tells its api, version, number, client and transaction', () => {
  const endTxn = bytes('001a 0005 00000007 0003 616263 00 04 74786e 00')
  expect(readRequest(endTxn)).toEqual({
    api: 'EndTxn',
    version: 5,
    correlationId: 7,
    clientId: 'abc',
    transactionalId: 'txn',
  })
  const plainProduce = bytes('0000 000b 00000001 ffff 00 00 ffff')
  expect(readRequest(plainProduce)).toMatchObject({ clientId: null, transactionalId: undefined })
  const heartbeat = bytes('000c 0004 00000002 0000 00 04 74786e')
  expect(readRequest(heartbeat)).toMatchObject({ api: 'Heartbeat', transactionalId: undefined })
})
