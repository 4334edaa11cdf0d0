/**
 * What is told to the transaction, and what is read in full instead; and when a table is no longer what it was. Each fact
 * stands in the documentation that is named beside it (learn.microsoft.com).
 */
import { describe, expect, it } from 'vitest'
import { readFingerprint } from '../../../../src/source/sqlserver/changes/fingerprint.ts'
import { packLsn } from '../../../../src/source/sqlserver/changes/lsn.ts'
import { planCapture, readSetting } from '../../../../src/source/sqlserver/changes/plan.ts'
import type {
  CapturedRow,
  CaptureInstance,
  CdcFacts,
  CdcTable,
} from '../../../../src/source/sqlserver/changes/questions.ts'
import { lineOfRow, Pairing, streamTableOf } from '../../../../src/source/sqlserver/changes/rows.ts'
import { lookAtChanges } from '../../../../src/source/sqlserver/doctor/changes.ts'
import type { SqlType } from '../../../../src/source/sqlserver/row-text.ts'
import { CdcModel } from './cdc-model.ts'

async function settingOf(
  alter: {
    readonly facts?: Partial<CdcFacts>
    readonly table?: (table: CdcTable) => CdcTable
    readonly instance?: (instance: CaptureInstance) => CaptureInstance
  } = {},
) {
  const setting = await readSetting(new CdcModel(['dbo.a', 'dbo.b']).open())
  const isA = ({ table }: CdcTable) => table.info.name === 'dbo.a'
  return {
    facts: { ...setting.facts, ...alter.facts },
    tables: setting.tables.map((table) => (isA(table) && alter.table ? alter.table(table) : table)),
    instances: setting.instances.map((each) => (each.name === 'dbo_a' && alter.instance ? alter.instance(each) : each)),
  }
}

/** The column `value` of `dbo.a`. */
const typed = (type: Partial<SqlType>) => (found: CdcTable) => {
  const [id, value] = found.table.captured
  const captured = [id!, { ...value!, type: { ...value!.type, ...type } }]
  return { ...found, table: { ...found.table, captured } }
}

const AGAIN =
  "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'a', @capture_instance = N'dbo_a'; " +
  "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'a', @role_name = NULL, @supports_net_changes = 0"

describe('a table', () => {
  it('is told to the transaction where its instance tells all of it', async () => {
    const { obstacle, tables, dangers } = planCapture(await settingOf(), ['dbo.a', 'dbo.none'])
    expect([obstacle, dangers]).toEqual([null, []])
    expect(tables).toEqual([
      { table: 'dbo.a', resolution: 'transaction', reason: null, remedySql: null },
      { table: 'dbo.none', resolution: 'snapshot', reason: 'no such table', remedySql: null },
    ])
  })

  it.each([
    // "About change data capture": new columns that are not identified for capture are ignored.
    [
      'has a column that was added since',
      { instance: (i) => ({ ...i, columns: i.columns.slice(0, 1) }) },
      /as they are now: value/,
      `${AGAIN};`,
    ],
    // "cdc.<capture_instance>_CT": __$command_id came with a cumulative update; __$seqval is not for ordering.
    [
      'has changes without order',
      { instance: (i) => ({ ...i, hasCommandId: false }) },
      /no __\$command_id/,
      `${AGAIN};`,
    ],
    // "sys.sp_cdc_enable_table", @allow_partition_switch: switches are not captured.
    [
      'has partitions that may be switched',
      { table: (t) => ({ ...t, isPartitioned: true }) },
      /switched in and out/,
      `${AGAIN}, @allow_partition_switch = 0;`,
    ],
    // "cdc.change_tables", start_lsn: NULL, the low endpoint has not been established.
    ['is not captured yet', { instance: (i) => ({ ...i, low: null }) }, /has not begun/, null],
    // "Known issues and errors with CDC", Collation differences.
    [
      'has text of another code page than the database',
      { table: typed({ base: 'varchar', collation: 'Latin1_General_CI_AS' }) },
      /collation is not the database's/,
      null,
    ],
    // "Known issues and errors with CDC", error 913; what a change table holds of them is not described.
    ['has a CLR type', { table: typed({ base: 'geography' }) }, /geography/, null],
    [
      'has no key',
      { table: (t) => ({ ...t, table: { ...t.table, info: { ...t.table.info, primaryKey: [] } } }) },
      /no primary key/,
      null,
    ],
    [
      'is not followed',
      { instance: (i) => ({ ...i, sourceTable: '0' }) },
      /does not follow it/,
      AGAIN.slice(AGAIN.indexOf('EXEC sys.sp_cdc_enable')).concat(';'),
    ],
  ] satisfies readonly (readonly [
    string,
    Parameters<typeof settingOf>[0],
    RegExp,
    string | null,
  ])[])('that %s is read at each snapshot, and the plan says why', async (_, alter, reason, remedySql) => {
    const [table] = planCapture(await settingOf(alter), ['dbo.a']).tables
    expect(table).toEqual({ table: 'dbo.a', resolution: 'snapshot', reason: expect.stringMatching(reason), remedySql })
  })

  // "Configure the max text repl size server configuration option": 65536 bytes, unless it was raised.
  it('whose large values the application could no longer write is a danger', async () => {
    const alter = { facts: { largeValueBytesMax: 65_536 }, table: typed({ maxLength: -1 }) }
    expect(planCapture(await settingOf(alter), ['dbo.a']).dangers).toEqual([
      {
        table: 'dbo.a',
        reason: expect.stringContaining('more than 65536 bytes'),
        remedySql: "EXEC sys.sp_configure 'max text repl size', -1; RECONFIGURE;",
      },
    ])
  })
})

describe('nothing is captured', () => {
  it.each([
    [
      'of Express and Web',
      { hasCdc: false, edition: 'Express Edition' },
      'Express Edition has no change data capture',
      null,
    ],
    [
      'where it is off',
      { isEnabled: false },
      /is off .* \(Change Tracking tells no transactions\)/,
      /sp_cdc_enable_db/,
    ],
    ['of a secondary', { isWritable: false }, /read-only/, null],
    // "Known issues and errors with CDC": both together are not supported.
    ['beside accelerated recovery', { hasAdr: true }, /accelerated/, /ACCELERATED_DATABASE_RECOVERY = OFF/],
    ['without our two tables', { mayMark: false }, /chartkeep\.mark/, /setup-sql/],
  ] as const)('%s', async (_, facts, reason, remedySql) => {
    const setting = await settingOf({ facts })
    const instances = 'isEnabled' in facts ? [] : setting.instances
    const { obstacle } = planCapture({ ...setting, instances }, ['dbo.a'])
    expect(obstacle?.reason).toMatch(reason)
    if (remedySql === null) expect(obstacle?.remedySql).toBeNull()
    else expect(obstacle?.remedySql).toMatch(remedySql)
  })
})

describe('a fingerprint', () => {
  const digestOf = async (model: CdcModel) => (await readFingerprint(model.open())).tables.get('dbo.a')

  it.each([
    ['an ALTER TABLE, also SWITCH', (model: CdcModel) => model.alter('dbo.a')],
    [
      'another instance under the same name',
      (model: CdcModel) => {
        model.disable('dbo.a')
        model.enable('dbo.a')
      },
    ],
    ['an instance that went', (model: CdcModel) => model.disable('dbo.a')],
    ['an instance that began', (model: CdcModel) => Object.assign(model.instances[0]!, { low: null })],
  ])('is another after %s', async (_, happens) => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    const before = await digestOf(model)
    happens(model)
    expect(await digestOf(model)).not.toBe(before)
  })

  it('is the same after changes, clean-up, and whatever happens to another table', async () => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    const before = await digestOf(model)
    model.commit({ kind: 'insert', table: 'dbo.a', id: '1', value: 'x' })
    model.commit()
    model.cleanUp(1)
    model.alter('dbo.b')
    model.disable('dbo.b')
    expect(await digestOf(model)).toBe(before)
  })
})

describe('a row of a change table', () => {
  const followed = (type: Partial<SqlType>) => {
    const [found] = new CdcModel(['dbo.a']).followed('dbo.a')
    const { table } = typed(type)({ table: found!.table, created: '', modified: '', storage: '', isPartitioned: false })
    return { ...found!, table }
  }
  const row = (operation: number, parts: Partial<CapturedRow> = {}): CapturedRow => ({
    lsn: '0000002A000001300001',
    command: 1,
    seqval: '0000002A000001300002',
    operation,
    commitTimeUs: 0n,
    fields: ['1', null],
    unchanged: [],
    isBent: false,
    ...parts,
  })
  const lineOf = (type: Partial<SqlType>, captured: CapturedRow) => lineOfRow(followed(type), captured).toString()

  // "cdc.<capture_instance>_CT", "Large Object Data Types" (F13).
  it('does not take a large value that was not sent for NULL', () => {
    const max = { maxLength: -1 }
    expect(lineOf(max, row(3, { unchanged: [1] }))).toBe('1\t\\u')
    expect(lineOf(max, row(4, { unchanged: [1] }))).toBe('1\t\\u')
    expect([lineOf(max, row(4)), lineOf(max, row(3)), lineOf(max, row(1)), lineOf(max, row(2))]).toEqual(
      Array.from({ length: 4 }, () => '1\t\\N'),
    )
    const text = { base: 'ntext', maxLength: 16 }
    expect([lineOf(text, row(1)), lineOf(text, row(3)), lineOf(text, row(4))]).toEqual(['1\t\\u', '1\t\\u', '1\t\\N'])
    expect(lineOf({}, row(4, { unchanged: [] }))).toBe('1\t\\N')
  })

  it('that UTF-8 cannot tell is refused by the column, without its value (I9)', () => {
    expect(() => lineOf({}, row(2, { fields: ['1', '\ud800x'] }))).toThrow(
      /^dbo\.a\.value holds half of a surrogate pair/,
    )
    expect(() => lineOf({}, row(2, { isBent: true }))).toThrow(/^dbo\.a holds bytes/)
  })

  it('is no half of an update', () => {
    const of = followed({})
    const pairing = () => new Pairing(of, streamTableOf(of))
    const lost = expect.objectContaining({ code: 'slot-lost' })
    expect(() => pairing().take(row(4))).toThrow(lost)
    const [left, other, ended] = [pairing(), pairing(), pairing()]
    expect([left.take(row(3)), other.take(row(3)), ended.take(row(3))]).toEqual([null, null, null])
    expect(() => left.take(row(2))).toThrow(lost)
    expect(() => other.take(row(4, { seqval: '0000002A000001300009' }))).toThrow(lost)
    expect(() => ended.finish()).toThrow(lost)
  })
})

describe('what doctor sees', () => {
  const job = { topic: 'capture-job-still' }
  const look = async (model: CdcModel, slot = 's') => await lookAtChanges(model.open(), slot, ['dbo.a', 'dbo.b'])
  const followedBy = async (model: CdcModel, slot = 's') => {
    const questions = model.open()
    await questions.createSlot(slot, { confirmed: 1n, followed: {} })
    await questions.hold(slot)
  }

  it('is a capture job that stands still while the database is written to, and what starts it', async () => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    await followedBy(model)
    model.captures = false
    for (let second = 0; second < 9; second += 1) model.commit()
    const start = [expect.stringContaining('sp_cdc_start_job')]
    expect(await look(model)).toMatchObject([{ topic: 'capture-job-still', measure: 9, remedySql: start }])
  })

  it('is for how long clean-up leaves changes, once it has taken some', async () => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    const questions = model.open()
    const began = Object.fromEntries(model.instances.map(({ changeTable, low }) => [changeTable, low!]))
    await questions.createSlot('s', { confirmed: packLsn('0000FFFF0000013000F0'), followed: began })
    await questions.hold('s')
    for (let second = 0; second < 9; second += 1) model.commit()
    expect((await look(model)).map(({ topic }) => topic)).toEqual(['capture-job-still'])
    model.cleanUp(4)
    expect(await look(model)).toMatchObject([
      job,
      {
        topic: 'changes-kept-short',
        measure: 3,
        remedySql: [/retention/, /stop_job/].map((sql) => expect.stringMatching(sql)),
      },
    ])
  })

  it('is nothing but the age of the last capture where changes are followed', async () => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    await followedBy(model)
    expect(await look(model)).toEqual([expect.objectContaining({ topic: 'capture-job-still', measure: 0 })])
  })

  it('is the place of the log: gone, overtaken, or nobody there', async () => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    expect(await look(model)).toMatchObject([job, { topic: 'slot-missing', objects: ['s'] }])
    const { changeTable, low } = model.instances[0]!
    model.slots.set('s', { confirmed: 1n, followed: { [changeTable]: low! } })
    expect(await look(model)).toMatchObject([job, { topic: 'slot-idle' }])
    model.commit()
    model.cleanUp(1)
    const lost = { topic: 'slot-lost', found: expect.stringContaining('clean-up') }
    expect(await look(model)).toMatchObject([job, { topic: 'changes-kept-short' }, lost])
  })

  it('is a table that is not told, and a database that tells nothing, each with what to run', async () => {
    const model = new CdcModel(['dbo.a', 'dbo.b'])
    await followedBy(model)
    model.disable('dbo.b')
    expect(await look(model)).toMatchObject([
      { topic: 'table-coarse', objects: ['dbo.b'], remedySql: [expect.stringMatching(/enable_table/)] },
      job,
    ])
    model.facts = { ...model.facts, isEnabled: false }
    expect(await look(model)).toMatchObject([
      { topic: 'server-changes-logged', remedySql: [expect.stringMatching(/sp_cdc_enable_db/)] },
    ])
  })
})
