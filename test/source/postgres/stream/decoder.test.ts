/** The reader of pgoutput on bytes made by hand after the documentation, cut at every byte; no server takes part. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../../../src/source/change-contract.ts'
import { Decoder } from '../../../../src/source/postgres/stream/decoder.ts'
import { FrameReader } from '../../../../src/source/postgres/stream/frames.ts'
import { LineWriter } from '../../../../src/source/postgres/stream/lines.ts'
import { quoteAsServer } from '../../../../src/source/postgres/stream/relation.ts'
import { tell } from './support.ts'

const spillDirectory = mkdtempSync(join(tmpdir(), 'chartkeep-decoder-'))
afterAll(() => rmSync(spillDirectory, { recursive: true }))

const u8 = (value: number) => Buffer.of(value)
const u16 = (value: number) => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}
const text = (value: string) => Buffer.from(`${value}\0`)
const message = (kind: string, ...parts: readonly Buffer[]) => Buffer.concat([Buffer.from(kind), ...parts])
const frame = (kind: string, payload: Buffer) => Buffer.concat([Buffer.from(kind), u32(payload.length + 4), payload])

/** `undefined` for a value that was not sent. */
type Field = string | null | undefined
const tuple = (fields: readonly Field[]) =>
  Buffer.concat([
    u16(fields.length),
    ...fields.map((field) => {
      if (field === null) return Buffer.from('n')
      if (field === undefined) return Buffer.from('u')
      const bytes = Buffer.from(field)
      return Buffer.concat([Buffer.from('t'), u32(bytes.length), bytes])
    }),
  ])

const stamp = (commit: bigint) => Buffer.concat([u64(commit), u64(commit + 8n), u64(1_000_000n)])
const begin = (commit: bigint, xid: number) => message('B', u64(commit), u64(1_000_000n), u32(xid))
const commit = (lsn: bigint) => message('C', u8(0), stamp(lsn))
const columns = (...names: string[]) =>
  Buffer.concat([
    u16(names.length),
    ...names.map((name, i) => Buffer.concat([u8(i === 0 ? 1 : 0), text(name), u32(25), u32(0xffffffff)])),
  ])
const relation = (oid: number, names: readonly string[], maker: readonly Buffer[] = []) =>
  message('R', ...maker, u32(oid), text('public'), text(`t${oid}`), Buffer.from('d'), columns(...names))
const insert = (oid: number, fields: readonly Field[], maker: readonly Buffer[] = []) =>
  message('I', ...maker, u32(oid), Buffer.from('N'), tuple(fields))
const piece = (xid: number, ...messages: readonly Buffer[]) => [
  message('S', u32(xid), u8(1)),
  ...messages,
  message('E'),
]

function makeDecoder(): Decoder {
  const isWanted = ({ rawName }: { readonly rawName: string }) => rawName !== 'public.t99'
  return new Decoder({ spillDirectory, reserved: new Set(['select']), isWanted, keepsEmpty: false })
}

/** As the stream does after each message, but with the catalogs left out. */
function resolve(decoder: Decoder): void {
  for (const { relation: described } of decoder.unresolved) {
    const { oid, rawName, rawColumns } = described
    described.table = { oid: String(oid), name: rawName, columns: rawColumns, key: [0] }
  }
  decoder.unresolved = []
}

async function decode(messages: readonly Buffer[]): Promise<string[]> {
  const decoder = makeDecoder()
  for (const bytes of messages) {
    decoder.take(bytes, 0, bytes.length)
    resolve(decoder)
  }
  const told = await shown(decoder.drain())
  decoder.dispose()
  return told
}

async function shown(events: readonly StreamEvent[]): Promise<string[]> {
  const lines: string[] = []
  for (const event of events) {
    if (event.kind !== 'transaction') lines.push(`${event.kind} ${event.lsn}`)
    else {
      const { transaction } = event
      const told = await tell(transaction)
      lines.push(`${transaction.xid} at ${transaction.commitLsn}..${transaction.endLsn}: ${told.lines.join('; ')}`)
    }
  }
  return lines
}

describe('Messages of pgoutput', () => {
  const everyKind = [
    begin(100n, 7),
    message('O', u64(1n), text('origin')),
    message('Y', u32(1), text('public'), text('kind')),
    relation(1, ['a', 'b']),
    insert(1, ['1', 'x\ty']),
    message('U', u32(1), Buffer.from('N'), tuple(['1', undefined])),
    message('U', u32(1), Buffer.from('K'), tuple(['1', null]), Buffer.from('N'), tuple(['2', null])),
    message('U', u32(1), Buffer.from('O'), tuple(['2', null]), Buffer.from('N'), tuple(['2', ''])),
    message('D', u32(1), Buffer.from('K'), tuple(['2', null])),
    message('D', u32(1), Buffer.from('O'), tuple(['3', null])),
    message('T', u32(1), u8(0), u32(1)),
    commit(100n),
  ]
  const everyLine = [
    '7 at 100..108: insert public.t1 - 1|x\\ty; update public.t1 - 1|\\u; update public.t1 1|\\u 2|\\N; ' +
      'update public.t1 2|\\N 2|; delete public.t1 2|\\u -; delete public.t1 3|\\N -; truncate public.t1 - -',
  ]

  it('give every kind of change, and tell NULL from what was not sent', async () => {
    expect(await decode(everyKind)).toEqual(everyLine)
  })

  it('come out the same wherever the chunks of the socket end', async () => {
    const noise = frame('N', Buffer.from('a notice in between'))
    const bytes = Buffer.concat(everyKind.flatMap((each) => [frame('d', each), noise]))
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(framesOf([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(everyKind)
    }
    expect(framesOf([...bytes].map((byte) => Buffer.of(byte)))).toEqual(everyKind)
  })

  it('end where something comes that is not of the stream, and that is handed on whole', () => {
    const error = frame('E', Buffer.from('SERROR\0'))
    const reader = new FrameReader()
    reader.push(Buffer.concat([frame('d', everyKind[0]!), error.subarray(0, 9)]))
    expect(reader.next()).toBe(true)
    expect(reader.next()).toBe(false)
    expect(reader.rest).toEqual(error.subarray(0, 9))
  })

  it('of tables that nobody asked for, and transactions without any other, do not come', async () => {
    const unwanted = [
      begin(1n, 1),
      relation(99, ['a']),
      insert(99, ['1']),
      message('T', u32(1), u8(0), u32(99)),
      commit(1n),
    ]
    expect(await decode(unwanted)).toEqual([])
  })

  it('of ours come as what they say: a request, with its transaction, and a mark (P21)', async () => {
    const ours = (transactional: number, words: string) =>
      message('M', u8(transactional), u64(50n), text('chartkeep'), u32(words.length), Buffer.from(words))
    const theirs = message('M', u8(1), u64(50n), text('other'), u32(4), Buffer.from('seal'))
    expect(await decode([ours(0, 'seal')])).toEqual(['seal-requested 50'])
    expect(await decode([begin(1n, 1), ours(1, 'seal'), commit(1n)])).toEqual(['1 at 1..9: ', 'seal-requested 9'])
    expect(await decode([begin(1n, 1), theirs, commit(1n)])).toEqual([])
  })

  it('in pieces wait for their commit, whatever comes between', async () => {
    const sub = (xid: number) => [u32(xid)]
    const messages = [
      ...piece(5, relation(1, ['a'], sub(5)), insert(1, ['1'], sub(5))),
      ...piece(6, relation(1, ['a'], sub(6)), insert(1, ['2'], sub(6))),
      ...[begin(10n, 9), relation(1, ['a']), insert(1, ['3']), commit(10n)],
      ...piece(5, insert(1, ['4'], sub(8))),
      message('c', u32(6), u8(0), stamp(20n)),
      message('A', u32(5), u32(8)),
      ...piece(5, insert(1, ['5'], sub(5))),
      message('c', u32(5), u8(0), stamp(30n)),
    ]
    expect(await decode(messages)).toEqual([
      '9 at 10..18: insert public.t1 - 3',
      '6 at 20..28: insert public.t1 - 2',
      '5 at 30..38: insert public.t1 - 1; insert public.t1 - 5',
    ])
  })

  it('of a transaction that is aborted leave nothing, neither rows nor descriptions nor files (P14)', async () => {
    const wide = ['a', 'b']
    const rows = Array.from({ length: 40 }, (_, i) => insert(1, [String(i), 'x'.repeat(100_000)], [u32(5)]))
    const messages = [
      ...[begin(1n, 1), relation(1, ['a']), insert(1, ['1']), commit(1n)],
      ...piece(5, relation(1, wide, [u32(5)]), ...rows),
      ...[begin(2n, 2), insert(1, ['2']), commit(2n)],
      message('A', u32(5), u32(5)),
      ...[begin(3n, 3), insert(1, ['3']), commit(3n)],
    ]
    expect(await decode(messages)).toEqual([1, 2, 3].map((n) => `${n} at ${n}..${n + 8}: insert public.t1 - ${n}`))
    expect(readdirSync(spillDirectory)).toEqual([])

    const table = (event: StreamEvent) =>
      event.kind === 'transaction' ? tell(event.transaction) : Promise.reject(event)
    const decoder = makeDecoder()
    for (const bytes of messages) {
      decoder.take(bytes, 0, bytes.length)
      resolve(decoder)
    }
    const told = await Promise.all(decoder.drain().map(table))
    expect(told.map(({ changes }) => changes[0]?.table.columns)).toEqual([['a'], ['a'], ['a']])
  })

  it('of a piece describe a table for everybody once it commits', async () => {
    const messages = [
      ...piece(5, relation(1, ['a', 'b'], [u32(5)]), insert(1, ['1', 'x'], [u32(5)])),
      message('c', u32(5), u8(0), stamp(20n)),
      ...[begin(30n, 6), insert(1, ['2', 'y']), commit(30n)],
    ]
    expect(await decode(messages)).toEqual([
      '5 at 20..28: insert public.t1 - 1|x',
      '6 at 30..38: insert public.t1 - 2|y',
    ])
  })

  it('that are not as documented are refused, never guessed at', async () => {
    const wrong: readonly (readonly Buffer[])[] = [
      [message('?')],
      [commit(1n)],
      [begin(1n, 1), begin(2n, 2)],
      [begin(1n, 1), insert(1, ['x'])],
      [begin(1n, 1), relation(1, ['a']), message('I', u32(1), Buffer.from('N'), u16(1), Buffer.from('b'), u32(0))],
      [begin(1n, 1), relation(1, ['a']), message('I', u32(1), Buffer.from('N'), u16(1), Buffer.from('t'), u32(99))],
      [begin(1n, 1), relation(1, ['a']), message('D', u32(1), Buffer.from('N'), tuple(['1']))],
    ]
    for (const messages of wrong) await expect(decode(messages)).rejects.toMatchObject({ code: 'source-failed' })
  })
})

describe('A line', () => {
  it('is the fields with what COPY escapes, of any bytes and any length', () => {
    const escapes: Readonly<Record<string, string>> = {
      '\b': 'b',
      '\t': 't',
      '\n': 'n',
      '\v': 'v',
      '\f': 'f',
      '\r': 'r',
      '\\': '\\',
    }
    const long = '\\x\t'.repeat(12_000)
    const field = fc.oneof(
      { weight: 1, arbitrary: fc.constantFrom(null, undefined, long) },
      { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }) },
    )
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 6 }), (fields) => {
        const sent = fields.map((value) => (typeof value === 'string' ? value.replaceAll('\0', '') : value))
        const expected = sent.map((value) =>
          value === null
            ? '\\N'
            : value === undefined
              ? '\\u'
              : value.replace(/[\b\t\n\v\f\r\\]/g, (c) => `\\${escapes[c]}`),
        )
        const bytes = Buffer.concat([Buffer.from('ahead'), tuple(sent), Buffer.from('behind')])
        const writer = new LineWriter()
        const line = writer.read(bytes, 5, bytes.length, null)
        expect(Buffer.from(line).equals(Buffer.from(expected.join('\t')))).toBe(true)
        expect(bytes.toString('latin1', writer.at)).toBe('behind')
      }),
      { numRuns: 100 },
    )
  })
})

it('A name is quoted as the server would', () => {
  const reserved = new Set(['select'])
  const names = ['plain_1', 'select', 'Upper', '1st', 'with space', 'quo"te', '_x', 'ö']
  expect(names.map((name) => quoteAsServer(name, reserved))).toEqual([
    'plain_1',
    '"select"',
    '"Upper"',
    '"1st"',
    '"with space"',
    '"quo""te"',
    '_x',
    '"ö"',
  ])
})

function framesOf(chunks: readonly Buffer[]): Buffer[] {
  const reader = new FrameReader()
  const found: Buffer[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    while (reader.next()) found.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)))
  }
  return found
}
