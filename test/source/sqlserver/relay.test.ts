/** One session's tables on their way to other threads. */
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { receiveTable, relayTables } from '../../../src/source/sqlserver/relay.ts'

const never = new AbortController().signal

async function* pieces(table: string, count: number, onPiece: () => void = () => {}): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < count; piece += 1) {
    onPiece()
    yield Buffer.from(`${table} ${piece}\n`)
  }
}

async function received(name: string, table: string, signal = never): Promise<string> {
  const chunks = await Array.fromAsync(receiveTable(name, table, signal), (bytes) => Buffer.from(bytes))
  return Buffer.concat(chunks).toString()
}

const lines = (table: string, count: number) => Array.from({ length: count }, (_, n) => `${table} ${n}\n`).join('')

describe('a relay', () => {
  it('gives each reader its own table, in order, one table at a time', async () => {
    let reading = 0
    let readingMost = 0
    await using relay = relayTables(async function* (table) {
      reading += 1
      readingMost = Math.max(readingMost, reading)
      yield* pieces(table, 20)
      reading -= 1
    })

    const both = await Promise.all([received(relay.name, 'a'), received(relay.name, 'b')])

    expect(both).toEqual([lines('a', 20), lines('b', 20)])
    expect(readingMost).toBe(1)
  })

  it('reaches another thread', async () => {
    await using relay = relayTables((table) => pieces(table, 50))
    const module = new URL('../../../src/source/sqlserver/relay.ts', import.meta.url).href
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
       import(workerData.module).then(async ({ receiveTable }) => {
         let text = ''
         for await (const bytes of receiveTable(workerData.name, 'a', new AbortController().signal)) text += Buffer.from(bytes)
         parentPort.postMessage(text)
       })`,
      { eval: true, workerData: { module, name: relay.name } },
    )

    const text = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()

    expect(text).toBe(lines('a', 50))
  })

  it('does not run ahead of a slow reader', async () => {
    let made = 0
    await using relay = relayTables((table) => pieces(table, 100, () => (made += 1)))
    const reader = receiveTable(relay.name, 'a', never)

    await reader.next()
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))

    expect(made).toBeLessThan(10)
    await reader.return(undefined)
  })

  it('goes on with the next table when a reader has had enough, or was aborted', async () => {
    let closed = 0
    await using relay = relayTables(async function* (table) {
      try {
        yield* pieces(table, 1000)
      } finally {
        closed += 1
      }
    })
    const stop = new AbortController()
    const reason = new Error('enough')
    const aborted = receiveTable(relay.name, 'a', stop.signal)
    await aborted.next()
    stop.abort(reason)

    await expect(Array.fromAsync(aborted)).rejects.toBe(reason)
    for await (const _ of receiveTable(relay.name, 'b', never)) break
    expect(await received(relay.name, 'c')).toBe(lines('c', 1000))
    expect(closed).toBe(3)
  })

  it('hands a failure over with its code', async () => {
    await using relay = relayTables(async function* (table) {
      yield* pieces(table, 2)
      throw new Failure('schema-changed', 'reading w.t failed')
    })

    await expect(received(relay.name, 'a')).rejects.toMatchObject({
      code: 'schema-changed',
      message: 'reading w.t failed',
    })
  })

  it('tells who asks for a table that it does not have, and goes on', async () => {
    await using relay = relayTables((table) => {
      if (table === 'nobody') throw new Failure('defect', 'the read has no table nobody')
      return pieces(table, 3)
    })

    await expect(received(relay.name, 'nobody')).rejects.toMatchObject({ code: 'defect' })
    expect(await received(relay.name, 'a')).toBe(lines('a', 3))
  })

  it('that is over ends who reads and who waits', async () => {
    const gate = Promise.withResolvers<void>()
    const relay = relayTables(async function* (table) {
      yield* pieces(table, 1)
      await gate.promise
      yield* pieces(table, 1000)
    })
    const reader = receiveTable(relay.name, 'a', never)
    await reader.next()
    const waiting = received(relay.name, 'b')
    const refused = expect(waiting).rejects.toMatchObject({ code: 'schema-changed' })
    await new Promise((resolve) => setTimeout(resolve, 20))

    const over = relay[Symbol.asyncDispose]()
    gate.resolve()
    await over

    await refused
    await expect(Array.fromAsync(reader)).rejects.toMatchObject({ code: 'schema-changed' })
  })
})
