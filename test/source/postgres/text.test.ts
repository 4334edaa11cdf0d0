/**
 * A row's text is exact and depends on nobody's settings (P15, P16, F39): the same bytes whatever the role and the
 * database carry, in the database's own encoding, and the same again after a round trip.
 */
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { loadTable, openLiveRows, openSource, openTarget } from '../../../src/source/open.ts'
import {
  connectClient,
  describeOnServers,
  failureOf,
  linesOf,
  oldestAndNewest,
  readAll,
  runSql,
  sortedLines,
  ticketOf,
} from './support.ts'

/** Values whose text changes by settings, and values that a number or a date of JavaScript would change. */
const VALUES: readonly (readonly [type: string, value: string, text: string])[] = [
  ['timestamptz', '1844-02-29 23:59:59.999999+00', '1844-02-29 23:59:59.999999+00'],
  ['timestamptz', '-infinity', '-infinity'],
  ['timestamp', '2202-12-31 00:00:00.000001', '2202-12-31 00:00:00.000001'],
  ['timestamptz', '0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00+00 BC'],
  ['date', 'infinity', 'infinity'],
  ['time', '24:00:00', '24:00:00'],
  ['timetz', '12:34:56.789012+05:45', '12:34:56.789012+05:45'],
  ['interval', '1 year 2 mons -3 days 04:05:06.789', '1 year 2 mons -3 days +04:05:06.789'],
  ['interval', '24 hours', '24:00:00'],
  ['interval', '1 day', '1 day'],
  ['float8', '0.1', '0.1'],
  ['float8', '0.30000000000000004', '0.30000000000000004'],
  ['float8', '-0', '-0'],
  ['float4', '3.4028235e38', '3.4028235e+38'],
  ['float8', 'NaN', 'NaN'],
  ['numeric', '1.00', '1.00'],
  ['numeric', '1.0', '1.0'],
  ['numeric(38,10)', '1234567890123456789012345678.0123456789', '1234567890123456789012345678.0123456789'],
  ['bigint', '9223372036854775807', '9223372036854775807'],
  ['bytea', '\\x00ff5c0a', '\\\\x00ff5c0a'],
  ['money', '1234.50', '$1,234.50'],
  ['json', '{"a": 1.50,  "a": 2}', '{"a": 1.50,  "a": 2}'],
  ['jsonb', '{"b": 1.50, "a": 2}', '{"a": 2, "b": 1.50}'],
  ['char(5)', 'ab', 'ab   '],
  ['text', 'trailing  ', 'trailing  '],
  ['text', '', ''],
  ['text', 'tab\there\nline\r\\N back\\slash\u0001\u0007', 'tab\\there\\nline\\r\\\\N back\\\\slash\u0001\u0007'],
  ['text', '𠀀é病人', '𠀀é病人'],
  ['text[]', '{"a,b",NULL,"NULL","q\\"uote"}', '{"a,b",NULL,"NULL","q\\\\"uote"}'],
  ['inet', '::1/64', '::1/64'],
  ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['tstzrange', '[2020-01-01 00:00+00,)', '["2020-01-01 00:00:00+00",)'],
  ['point', '(0.1,1e300)', '(0.1,1e+300)'],
  ['bit(3)', '101', '101'],
  ['tsvector', "'it''s':1A b:2", "'b':2 'it''s':1A"],
  ['xml', '<a  b="1">x</a>', '<a  b="1">x</a>'],
  ['oid', '4294967295', '4294967295'],
  ['regclass', 'pg_catalog.pg_class', 'pg_class'],
  ['regclass', 'public.odd', 'public.odd'],
]
// bytea, money and texts keep what COPY makes of a backslash: the third column is the line's field.

/** Everything that a role or a database may carry and that changes text. */
const DISTURBANCES = [
  `DateStyle = 'German, DMY'`,
  `IntervalStyle = 'iso_8601'`,
  `TimeZone = 'Asia/Shanghai'`,
  'extra_float_digits = -15',
  `bytea_output = 'escape'`,
  `search_path = 'public'`,
  'quote_all_identifiers = on',
  `client_encoding = 'EUC_CN'`,
  `lc_monetary = 'C.UTF-8'`,
  `xmloption = 'document'`,
  'array_nulls = off',
  'standard_conforming_strings = off',
  'default_transaction_isolation = serializable',
  'default_transaction_read_only = on',
]

/** Those of the values that have an equality, and more that an array would have to quote. */
const KEYS: readonly (readonly [type: string, value: string])[] = [
  ...VALUES.filter(([type, value]) => !['json', 'xml', 'point'].includes(type) && value !== 'public.odd').map(
    ([type, value]) => [type, value] as const,
  ),
  ['text', '{}'],
  ['text', 'NULL'],
  ['text', ' , "both" \\ '],
  ['varchar(3)', 'abc'],
  ['numeric(4,1)', '1.5'],
  ['timestamp(3)', '2026-01-01 00:00:00.123'],
  ['"char"', '"'],
  ['name', "o'clock"],
]

describeOnServers('The text of rows', oldestAndNewest, (server) => {
  it('is exact, and no setting of the role or the database changes a byte of it (P15, P16)', async () => {
    const { url, fields } = await oddTable(server())
    const undisturbed = await oddLine(url)
    expect(undisturbed).toBe(`${fields.join('\t')}\n`)
    const role = `disturbed_${server().version}`
    await runSql(url, `CREATE ROLE ${role} LOGIN SUPERUSER`)
    for (const setting of DISTURBANCES) await runSql(url, `ALTER ROLE ${role} SET ${setting}`)
    expect(await oddLine(url.replace('postgres@', `${role}@`))).toBe(undisturbed)
    for (const setting of DISTURBANCES) {
      // Each change is a session of its own: the one before already applies to it.
      await runSql(url, `SET default_transaction_read_only = off; ALTER DATABASE text_odd SET ${setting}`)
    }
    expect(await oddLine(url)).toBe(undisturbed)
  })

  it('is the same again after a round trip (F39)', async () => {
    const url = new URL('/text_odd', server().url()).href
    const target = await server().createDatabase('text_copy')
    // A database whose sessions are read-only by default can be rebuilt into all the same.
    for (const setting of DISTURBANCES.slice(0, 5)) await runSql(target, `ALTER DATABASE text_copy SET ${setting}`)
    await runSql(target, 'ALTER DATABASE text_copy SET default_transaction_read_only = on')
    await using read = await readAll(url, ['public.odd'])
    const table = ticketOf(read, 'public.odd')
    const { steps } = await read.readDdl()
    await using rebuilt = await openTarget({ url: target })
    await rebuilt.runSteps(steps.filter((step) => step.phase === 'before-rows'))
    const bytes = await linesOf(read.ticket, table)
    const loaded = await loadTable(
      { url: target },
      { ...table, encoding: 'UTF8' },
      once(bytes),
      new AbortController().signal,
    )
    expect(loaded).toBe(1)
    await using again = await readAll(target, ['public.odd'])
    expect(await linesOf(again.ticket, ticketOf(again, 'public.odd'))).toEqual(bytes)
  })

  it('comes as the bytes of the database’s own encoding, those included that nobody can translate', async () => {
    const encodings = [
      { encoding: 'LATIN1', insert: `INSERT INTO "tablé" VALUES ('é' || chr(128))`, name: '"tablé"', bytes: 'e980' },
      {
        encoding: 'EUC_CN',
        insert: `INSERT INTO "病人" VALUES ('病' || E'\\xAA\\xA1')`,
        name: '"病人"',
        bytes: 'b2a1aaa1',
      },
      {
        encoding: 'SQL_ASCII',
        insert: `INSERT INTO plain VALUES (E'\\xff\\xb2\\x5c' || '病')`,
        name: 'plain',
        bytes: 'ffb25c5ce79785',
      },
    ]
    for (const { encoding, insert, name, bytes } of encodings) {
      const url = await server().createDatabase(`text_${encoding.toLowerCase()}`, { encoding })
      await runSql(url, `CREATE TABLE ${name} (a text)`, insert)
      await using read = await readAll(url)
      expect(read.identity.encoding).toBe(encoding)
      const [table] = read.tableTickets
      if (!table) throw new Error('the table is missing')
      const lines = await linesOf(read.ticket, table)
      expect(lines.toString('hex')).toBe(`${bytes}0a`)
      await using live = await openLiveRows({ url }, { signal: new AbortController().signal, lockTimeoutMs: 5_000 })
      const [only] = live.schema.tables
      const found = await live.rows({
        table: only!,
        columns: ['a'],
        where: { columns: ['a'], values: [[lines.subarray(0, -1)]] },
      })
      expect(found.map((line) => line.toString('hex'))).toEqual([bytes])

      const target = await server().createDatabase(`text_${encoding.toLowerCase()}_copy`, { encoding })
      await runSql(target, `CREATE TABLE ${name} (a text)`)
      await loadTable({ url: target }, { ...table, encoding }, once(lines), new AbortController().signal)
      await using again = await readAll(target)
      const [copy] = again.tableTickets
      expect(copy && (await linesOf(again.ticket, copy)).toString('hex')).toBe(`${bytes}0a`)
      const other = await failureOf(() =>
        loadTable(
          { url: server().url() },
          { ...table, sqlName: 'pg_temp.none', encoding },
          once(lines),
          new AbortController().signal,
        ),
      )
      expect(other.code).toBe('target-failed')
    }
  })

  it('of a key of any kind finds its row again, alone and beside another column', async () => {
    const url = await server().createDatabase('text_keys')
    const types = [...KEYS.map(([type]) => type), 'short', 'word', 'pair', 'words']
    const values = [...KEYS.map(([, value]) => value), 'NULL', `it's "so"`, '(1,"a b")', '{"a,b",NULL}']
    await runSql(
      url,
      `CREATE DOMAIN short AS varchar(4); CREATE DOMAIN words AS text[]; CREATE TYPE pair AS (a int, b text);
       CREATE TYPE word AS ENUM ('it''s "so"', 'b')`,
    )
    for (const [index, type] of types.entries()) {
      const value = values[index]!.replaceAll("'", "''")
      await runSql(
        url,
        `CREATE TABLE k${index} (k ${type}, n int)`,
        `INSERT INTO k${index} VALUES ('${value}', 7), (NULL, 8)`,
      )
    }
    await using live = await openLiveRows({ url }, { signal: new AbortController().signal, lockTimeoutMs: 5_000 })
    await using read = await readAll(url)
    for (const [index, type] of types.entries()) {
      const name = `public.k${index}`
      const table = live.schema.tables.find((info) => info.name === name)!
      const lines = (await linesOf(read.ticket, ticketOf(read, name))).toString('latin1').split('\n')
      const line = Buffer.from(lines.find((text) => text.endsWith('\t7'))!, 'latin1')
      const [k, n] = [line.subarray(0, -2), line.subarray(-1)]
      const other = Buffer.from('8')
      const ask = (where: { columns: string[]; values: Buffer[][] }) => live.rows({ table, columns: ['k', 'n'], where })
      expect([type, await ask({ columns: ['k'], values: [[k], [k]] })]).toEqual([type, [line]])
      expect([
        type,
        await ask({
          columns: ['k', 'n'],
          values: [
            [k, n],
            [k, other],
          ],
        }),
      ]).toEqual([type, [line]])
      expect([type, await ask({ columns: ['k', 'n'], values: [[k, other]] })]).toEqual([type, []])
    }
  })

  it('of another encoding is refused by the target, before the rows as well as with them', async () => {
    const url = await server().createDatabase('text_refused')
    const source = await server().createDatabase('text_source', { encoding: 'SQL_ASCII' })
    await runSql(url, 'CREATE TABLE t (a text)')
    const bytes = Buffer.from('ff0a', 'hex')
    const failure = await failureOf(() =>
      loadTable(
        { url },
        { sqlName: 'public.t', columns: ['a'], encoding: 'SQL_ASCII' },
        once(bytes),
        new AbortController().signal,
      ),
    )
    expect(failure.message).toBe("the target's encoding is UTF8, the source's was SQL_ASCII")
    await runSql(url, 'DROP TABLE t')
    await using target = await openTarget({ url })
    await using other = await openSource({ url: source })
    const identity = await other.identify()
    const refused = await failureOf(() => target.assertUsable(identity))
    expect(refused.message).toBe("the target's encoding is UTF8, the source's was SQL_ASCII")
  })

  it('of a table without columns is as many empty lines as it has rows', async () => {
    const url = await server().createDatabase('text_empty')
    await runSql(url, 'CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES')
    await using read = await readAll(url)
    const table = ticketOf(read, 'public.bare')
    const lines = await linesOf(read.ticket, table)
    expect(lines.toString()).toBe('\n\n')
    expect(await loadTable({ url }, { ...table, encoding: 'UTF8' }, once(lines), new AbortController().signal)).toBe(2)
  })

  it('is not read through a pooler that drops startup options (P15)', async () => {
    const url = await server().createDatabase('text_pooled')
    await runSql(url, `ALTER DATABASE text_pooled SET DateStyle = 'German'`)
    await using pooler = await startForgetfulPooler(server().port)
    const pooled = url.replace(`:${server().port}/`, `:${pooler.port}/`)
    const failure = await failureOf(() => openSource({ url: `${pooled}?sslmode=disable` }))
    expect(failure.code).toBe('setting-not-pinned')
    expect(failure.message).toMatch(/ shows \w+ as '.*', not '.*'$/)
  })
})

describe('Lines', () => {
  it('are compared without their order', () => {
    expect(sortedLines(Buffer.from('b\na\n'))).toEqual(['', 'a', 'b'])
  })
})

async function oddTable(server: PostgresServer): Promise<{ url: string; fields: string[] }> {
  const url = await server.createDatabase('text_odd')
  const columns = VALUES.map(([type], index) => `c${index} ${type}`)
  await using client = await connectClient(url)
  await client.query(`CREATE TABLE odd (${columns.join(', ')}, missing text)`)
  const values = VALUES.map(([type, value]) => `'${value.replaceAll("'", "''")}'::${type}`)
  await client.query(
    `SET lc_monetary = 'C'; SET bytea_output = hex; INSERT INTO odd VALUES (${values.join(', ')}, NULL)`,
  )
  return { url, fields: [...VALUES.map(([, , text]) => text), '\\N'] }
}

async function oddLine(url: string): Promise<string> {
  await using read = await readAll(url, ['public.odd'])
  return (await linesOf(read.ticket, ticketOf(read, 'public.odd'))).toString('utf8')
}

async function* once(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes
}

/** Passes everything on but the `options` of the startup message, as poolers are configured to. */
async function startForgetfulPooler(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    const upstream = connectTcp(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.once('data', (startup: Buffer) => {
      upstream.write(withoutOptions(startup))
      client.pipe(upstream)
    })
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Length, protocol, then names and values, each ended by a zero, and one more zero. */
function withoutOptions(startup: Buffer): Buffer {
  const parts = startup.toString('latin1', 8, startup.length - 2).split('\0')
  const kept: string[] = []
  for (let at = 0; at < parts.length; at += 2) {
    if (parts[at] !== 'options') kept.push(parts[at] ?? '', parts[at + 1] ?? '')
  }
  const body = Buffer.from(`${kept.join('\0')}\0\0`, 'latin1')
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 8, 0)
  startup.copy(head, 4, 4, 8)
  return Buffer.concat([head, body])
}
