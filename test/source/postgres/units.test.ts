/** The parts of the PostgreSQL source that need no server: addresses, the stream of a COPY, the archive of pg_dump. */
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { openSource } from '../../../src/source/open.ts'
import { CopyOut } from '../../../src/source/postgres/copy-out.ts'
import { isKnownArchive, readArchiveEntries } from '../../../src/source/postgres/pg-dump-archive.ts'
import { parseUrl, tlsAttempts, withApplicationName } from '../../../src/source/postgres/url.ts'

describe('An address', () => {
  it('is read as libpq reads it', () => {
    expect(parseUrl('postgres://a%40b@db.hospital:6543/ward%20data?sslmode=require')).toMatchObject({
      user: 'a@b',
      host: 'db.hospital',
      port: 6543,
      database: 'ward data',
      sslMode: 'require',
      shown: 'db.hospital:6543/ward data',
    })
    expect(parseUrl('postgresql:///icu?host=/run/postgresql')).toMatchObject({ host: '/run/postgresql', port: 5432 })
    expect(parseUrl('postgres://[::1]/icu')).toMatchObject({ host: '::1' })
  })

  it.each([
    ['mysql://a@b/c', /postgres:\/\/user@host/],
    ['nonsense', /postgres:\/\/user@host/],
    ['postgres://a:secret@b/c', /holds a password/],
    ['postgres://a@b/c?sslmode=perhaps', /sslmode is 'perhaps'/],
    ['postgres://a@b/c?sslkey=x', /parameter sslkey/],
  ])('like %s is refused without repeating a secret', (url, message) => {
    expect(() => parseUrl(url)).toThrow(message)
    expect(() => parseUrl(url)).not.toThrow(/secret/)
  })

  it('of no known kind of database is refused by name', async () => {
    await expect(openSource({ url: 'oracle://a/b' })).rejects.toMatchObject({ code: 'bad-configuration' })
  })

  it('keeps its parts under another application name', () => {
    const url = withApplicationName('postgres://a@b:1/c?sslmode=disable', 'chartkeep x')
    expect(parseUrl(url)).toMatchObject({ user: 'a', port: 1, sslMode: 'disable', applicationName: 'chartkeep x' })
  })

  it('checks certificates exactly when its sslmode says so', () => {
    const attempts = (mode: string, ca?: string) => tlsAttempts(parseUrl(`postgres://a@b/c?sslmode=${mode}`), ca)
    expect(attempts('disable')).toEqual([false])
    expect(attempts('prefer')).toEqual([{ rejectUnauthorized: false }, false])
    expect(attempts('require')).toEqual([{ rejectUnauthorized: false }])
    expect(attempts('require', 'CA')).toMatchObject([{ rejectUnauthorized: true, ca: 'CA' }])
    expect(attempts('verify-full', 'CA')).toEqual([{ rejectUnauthorized: true, ca: 'CA' }])
  })
})

describe('The stream of a COPY', () => {
  it('gives the same lines however the network cuts it', async () => {
    const rows = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 })
    const cuts = fc.array(fc.nat(2000), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(rows, cuts, fc.boolean(), async (lines, places, noisy) => {
        const sent = Buffer.concat([
          message('H', Buffer.from([0, 0, 0])),
          ...lines.flatMap((line) => [
            message('d', Buffer.from(line)),
            ...(noisy ? [message('N', Buffer.from('\0'))] : []),
          ]),
          message('c', Buffer.alloc(0)),
          message('C', Buffer.from(`COPY ${lines.length}\0`)),
        ])
        const { received, given } = await copyThrough(sent, places, `COPY ${lines.length}`)
        expect(received).toEqual(Buffer.concat(lines))
        expect(given).toEqual(message('C', Buffer.from(`COPY ${lines.length}\0`)))
      }),
    )
  })

  it('that brings fewer rows than the server sent is an error', async () => {
    const sent = Buffer.concat([message('d', Buffer.from('a\n')), message('c', Buffer.alloc(0))])
    await expect(copyThrough(sent, [], 'COPY 2')).rejects.toThrow('the server sent 2 rows, and 1 arrived')
  })

  it('that an error ends gives the error to the driver, from its first byte', async () => {
    const error = message('E', Buffer.from('SERROR\0\0'))
    const sent = Buffer.concat([message('d', Buffer.from('a\n')), error])
    const { received, given } = await copyThrough(sent, [8, 9, 10], 'COPY 1')
    expect(received.toString()).toBe('a\n')
    expect(given).toEqual(error)
  })
})

describe('An archive of pg_dump', () => {
  const archive = tinyArchive(14)

  it.each([14, 15, 16])('of layout 1.%i gives its entries', (layout) => {
    expect(readArchiveEntries(tinyArchive(layout))).toEqual([
      {
        kind: 'TABLE',
        name: 't',
        schema: 'public',
        owner: 'ward',
        section: 'pre-data',
        statement: 'CREATE TABLE public.t (病 integer);\n',
        dropStatement: 'DROP TABLE public.t;\n',
        tablespace: '',
        accessMethod: 'heap',
      },
    ])
  })

  it('that ends early is refused at whatever byte it ends', () => {
    for (let bytes = 0; bytes < archive.length; bytes += 1) {
      expect(() => readArchiveEntries(archive.subarray(0, bytes))).toThrow(Failure)
    }
  })

  it('of a layout nobody knows is refused', () => {
    for (const layout of [12, 13, 17]) expect(isKnownArchive(tinyArchive(layout))).toBe(false)
    expect(isKnownArchive(Buffer.from('PGDMQ\u0001\u000e\0'))).toBe(false)
  })
})

function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind, 0, 'latin1')
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** Plays the driver and the server: what the COPY yields, and what it gives back to the driver. */
async function copyThrough(sent: Buffer, cuts: readonly number[], complete: string) {
  const socket = new PassThrough()
  const given: Buffer[] = []
  const copy = new CopyOut('COPY t TO STDOUT')
  socket.on('data', (chunk: Buffer) => {
    given.push(chunk)
    // The driver reads CommandComplete and ReadyForQuery from what it is given.
    copy.handleCommandComplete({ text: complete })
    copy.handleReadyForQuery()
  })
  const connection = Object.assign(new EventEmitter(), { stream: socket, query: () => {} })
  copy.submit(connection as unknown as Parameters<CopyOut['submit']>[0])
  const received: Buffer[] = []
  const reading = (async () => {
    for await (const chunk of copy.lines()) received.push(Buffer.from(chunk))
  })()
  reading.catch(() => {})
  const places = [0, ...cuts.map((cut) => cut % (sent.length + 1)).sort((a, b) => a - b), sent.length]
  for (const [index, place] of places.entries()) {
    if (index > 0) socket.write(sent.subarray(places[index - 1], place))
    // Each piece arrives by itself.
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (given.length === 0) {
    // A server that says no more after CopyDone.
    copy.handleCommandComplete({ text: complete })
    copy.handleReadyForQuery()
  }
  await reading
  return { received: Buffer.concat(received), given: Buffer.concat(given) }
}

/** One entry, in the layout that the module describes. */
function tinyArchive(layout: number): Buffer {
  const int = (value: number) => Buffer.from([value < 0 ? 1 : 0, Math.abs(value), 0, 0, 0])
  const string = (value: string | null) => {
    if (value === null) return int(-1)
    const bytes = Buffer.from(value)
    return Buffer.concat([int(bytes.length), bytes])
  }
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, layout, 0, 4, 8, 1]),
    layout >= 15 ? Buffer.from([0]) : int(0),
    ...Array.from({ length: 7 }, () => int(1)),
    ...['icu', '15.1', '15.1'].map(string),
    int(1),
    ...[int(7), int(0), string('1259'), string('16384'), string('t'), string('TABLE'), int(2)],
    string('CREATE TABLE public.t (病 integer);\n'),
    string('DROP TABLE public.t;\n'),
    ...[null, 'public', '', 'heap'].map(string),
    ...(layout >= 16 ? [int(114)] : []),
    ...['ward', 'false', '3', null].map(string),
    Buffer.alloc(9),
  ])
}
