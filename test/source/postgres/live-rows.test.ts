/** Rows of a live database by their keys: a few, and as many as a patient has, which are asked for part by part. */
import { expect, it } from 'vitest'
import { openLiveRows } from '../../../src/source/open.ts'
import { connect } from '../../../src/source/postgres/connect.ts'
import { RowLookup } from '../../../src/source/postgres/live-rows.ts'
import type { LiveRows, QueryValues } from '../../../src/source/row-contract.ts'
import { describeOnServers, failureOf, oldestAndNewest, runSql } from './support.ts'

const ROWS = 9_000
/** Of row i. */
const KEYS: readonly (readonly [type: string, value: string])[] = [
  ['bigint', '9007199254740993 + i'],
  ['integer', 'i'],
  ['numeric(12,2)', 'i / 100.0'],
  ['text', `'it''s "so", {' || i || E'}\\\\\\té' || i`],
  ['character varying(20)', `'N"''UL' || i`],
  ['character(8)', `'a' || i`],
  ['uuid', 'md5(i::text)::uuid'],
  ['date', `date '1900-01-01' + i`],
  ['timestamp(3) with time zone', `timestamptz '1969-12-31 23:59:59.5+00' + i * interval '7 ms'`],
  ['timestamp without time zone', `timestamp '4712-01-01 BC' + i * interval '1 us'`],
]

const LOOKING = { signal: new AbortController().signal, lockTimeoutMs: 5_000 }

function tableOf(live: LiveRows, name: string) {
  return live.schema.tables.find((table) => table.name === name)!
}

/** Fields within their lines, of which no list is made. */
function givenFields(keys: readonly (readonly Uint8Array[])[]): QueryValues {
  const lines = keys.map((fields) =>
    Buffer.from(fields.map((field) => Buffer.from(field).toString('latin1')).join('\t'), 'latin1'),
  )
  return {
    length: keys.length,
    slice: () => expect.fail('fields are asked for one by one'),
    each: (position, start, end, take) => {
      for (let key = start; key < end; key += 1) {
        const from = keys[key]!.slice(0, position).reduce((sum, field) => sum + field.length + 1, 0)
        take(lines[key]!, from, from + keys[key]![position]!.length)
      }
    },
  }
}

describeOnServers('Rows by many keys', oldestAndNewest.slice(-1), (server) => {
  it('are those of the keys, whatever their type, in several parts, which may be asked for again', async () => {
    const url = await server().createDatabase('many_keys')
    for (const [index, [type, value]] of KEYS.entries()) {
      await runSql(
        url,
        `CREATE TABLE k${index} (n int, b int, a ${type}, PRIMARY KEY (a, b))`,
        `INSERT INTO k${index} SELECT i, 7, ${value} FROM generate_series(1, ${ROWS}) i`,
        `INSERT INTO k${index} SELECT n, 8, a FROM k${index} WHERE n > 1000 LIMIT 100`,
      )
    }
    await runSql(url, 'ANALYZE')
    await using live = await openLiveRows({ url }, LOOKING)
    await using session = await connect({ url }, 'read')
    for (const [index, [type]] of KEYS.entries()) {
      const table = tableOf(live, `public.k${index}`)
      const seven = Buffer.from('7')
      const wanted = await live.rows({ table, columns: ['a', 'n'], where: { columns: ['b'], values: [[seven]] } })
      expect([type, wanted.length]).toEqual([type, ROWS])
      const keys = wanted.map((line) => [line.subarray(0, line.lastIndexOf(0x09)), seven])
      const gone = keys.slice(0, 900).map(([a]) => [a!, Buffer.from('9')])
      const where = { columns: ['a', 'b'], values: [...gone, ...keys], areKeys: true }
      const lookup = new RowLookup(session, { table, columns: ['a', 'n'], where })
      for await (const [first] of lookup.rows()) {
        expect(first).toEqual(wanted[0])
        break
      }
      const parts = await Array.fromAsync(lookup.rows())
      expect(parts.length).toBe(2)
      expect(parts.flat().map(String)).toEqual(wanted.map(String))
      // Numbers, texts with everything that is escaped, times.
      if (index % 3 !== 0) continue
      const given = { ...where, values: givenFields([...gone, ...keys]) }
      const again = await Array.fromAsync(new RowLookup(session, { table, columns: ['a', 'n'], where: given }).rows())
      expect(again).toEqual(parts)
    }
  })

  it('that an index cannot look up are found at once, each once, as those of few are', async () => {
    const url = await server().createDatabase('slow_keys')
    await runSql(
      url,
      'CREATE TABLE t (a interval PRIMARY KEY, n int)',
      `INSERT INTO t SELECT i * interval '1 hour', i FROM generate_series(1, ${ROWS}) i`,
      'CREATE TABLE small (a int PRIMARY KEY)',
      'INSERT INTO small VALUES (1), (2)',
      'ANALYZE',
    )
    await using live = await openLiveRows({ url }, LOOKING)
    await using session = await connect({ url }, 'read')
    const partsOf = async (name: string, values: readonly string[]) => {
      const where = { columns: ['a'], values: values.map((value) => [Buffer.from(value)]), areKeys: true }
      return await Array.fromAsync(new RowLookup(session, { table: tableOf(live, name), columns: ['a'], where }).rows())
    }
    const hours = Array.from({ length: ROWS }, (_, i) => `${i + 1} hours`)
    const [found, ...more] = await partsOf('public.t', hours)
    expect([found?.length, more]).toEqual([ROWS, []])
    const [both, ...others] = await partsOf(
      'public.small',
      hours.map((_, i) => String(i)),
    )
    expect([both?.map(String).sort(), others]).toEqual([['1', '2'], []])
    expect(await partsOf('public.small', [])).toEqual([])
  })

  it('that policies hide are an error, for one key and for many (P8)', async () => {
    const url = await server().createDatabase('hidden_keys')
    await runSql(
      url,
      'CREATE TABLE t (a int PRIMARY KEY)',
      `INSERT INTO t SELECT generate_series(1, ${ROWS})`,
      'ANALYZE; CREATE ROLE looker LOGIN; GRANT SELECT ON t TO looker; GRANT pg_read_all_settings TO looker',
      'GRANT EXECUTE ON FUNCTION pg_control_system() TO looker; GRANT EXECUTE ON FUNCTION pg_control_checkpoint() TO looker',
      'ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON t USING (a <= 5)',
    )
    const asLooker = new URL(url)
    asLooker.username = 'looker'
    for (const count of [1, ROWS]) {
      await using live = await openLiveRows({ url: asLooker.href }, LOOKING)
      const values = Array.from({ length: count }, (_, i) => [Buffer.from(String(i + 1))])
      const where = { columns: ['a'], values, areKeys: true }
      const failure = await failureOf(() => live.rows({ table: tableOf(live, 'public.t'), columns: ['a'], where }))
      expect(failure.code).toBe('rows-hidden')
      expect(failure.message).toContain('public.t')
    }
  })
})
