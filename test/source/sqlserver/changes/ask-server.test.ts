/**
 * The questions about changes, asked of a server that has no change data capture: its tables are made by hand, with the
 * columns that learn.microsoft.com gives them ("cdc.change_tables", "cdc.captured_columns", "cdc.lsn_time_mapping",
 * "cdc.<capture_instance>_CT"), and filled as that documentation says. What only Microsoft's own shows is in
 * docs/TESTED.md. Skipped without TEST_SQLSERVER_URL.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../../src/source/contract.ts'
import { askServer, pageStatement } from '../../../../src/source/sqlserver/changes/ask-server.ts'
import type { CdcQuestions, ChangeCursor, Followed } from '../../../../src/source/sqlserver/changes/questions.ts'
import { lineOfRow } from '../../../../src/source/sqlserver/changes/rows.ts'
import { connect } from '../../../../src/source/sqlserver/connect.ts'
import { OWN_TABLES } from '../../../../src/source/sqlserver/setup-capture.ts'
import { ask, createDatabase, dropDatabases, run, serverUrl } from '../server.ts'
import { CdcModel } from './cdc-model.ts'

const LSN = ['0000002A000001300001', '0000002A000001300005', '0000002A0000014000FF'] as const

const MADE = `
CREATE TABLE dbo.stay (id int NOT NULL PRIMARY KEY, weight decimal(10,2) NULL, seen datetime2(6) NULL, note nvarchar(200) NULL);
GO
CREATE SCHEMA cdc
GO
CREATE SCHEMA chartkeep
GO
${OWN_TABLES.join('\n')}
INSERT INTO chartkeep.mark VALUES (1, N'-');
CREATE TABLE cdc.change_tables (object_id int, version int, source_object_id int, capture_instance nvarchar(128),
  start_lsn binary(10), end_lsn binary(10), supports_net_changes bit, has_drop_pending bit, role_name nvarchar(128),
  index_name nvarchar(128), filegroup_name nvarchar(128), create_date datetime, partition_switch bit);
CREATE TABLE cdc.captured_columns (object_id int, column_name nvarchar(128), column_id int, column_type nvarchar(128),
  column_ordinal int, is_computed bit);
CREATE TABLE cdc.lsn_time_mapping (start_lsn binary(10), tran_begin_time datetime, tran_end_time datetime, tran_id varbinary(10));
CREATE TABLE cdc.dbo_stay_CT ([__$start_lsn] binary(10), [__$end_lsn] binary(10), [__$seqval] binary(10), [__$operation] int,
  [__$update_mask] varbinary(128), id int, weight decimal(10,2), seen datetime2(6), note nvarchar(200), [__$command_id] int);
CREATE TABLE cdc.chartkeep_mark_CT ([__$start_lsn] binary(10), [__$end_lsn] binary(10), [__$seqval] binary(10),
  [__$operation] int, [__$update_mask] varbinary(128), id int, token nvarchar(40), [__$command_id] int);
INSERT INTO cdc.change_tables SELECT OBJECT_ID('cdc.dbo_stay_CT'), 0, OBJECT_ID('dbo.stay'), 'dbo_stay', 0x${LSN[0]}, NULL, 0, NULL,
  NULL, NULL, NULL, '2026-01-02T03:04:05', 1;
INSERT INTO cdc.captured_columns SELECT OBJECT_ID('cdc.dbo_stay_CT'), name, column_id, type, column_id, 0
  FROM (VALUES ('id', 1, 'int'), ('weight', 2, 'decimal'), ('seen', 3, 'datetime2'), ('note', 4, 'nvarchar')) c(name, column_id, type);
INSERT INTO cdc.lsn_time_mapping VALUES (0x${LSN[0]}, '2026-01-02T03:04:04.997', '2026-01-02T03:04:05.997', 0x00),
  (0x${LSN[1]}, '2026-01-02T03:04:06', '2026-01-02T03:04:07', 0x01), (0x${LSN[2]}, GETDATE(), GETDATE(), 0x02);
INSERT INTO cdc.dbo_stay_CT VALUES
  (0x${LSN[0]}, NULL, 0x00000000000000000009, 2, 0x0F, 1, 71.50, '2026-01-02T03:04:05.123456', N'a' + NCHAR(9) + N'中', 1),
  (0x${LSN[0]}, NULL, 0x00000000000000000002, 3, 0x02, 1, 71.50, NULL, NULL, 2),
  (0x${LSN[0]}, NULL, 0x00000000000000000002, 4, 0x02, 1, 72.00, NULL, NULL, 2),
  (0x${LSN[1]}, NULL, 0x00000000000000000001, 1, 0x0F, 1, 72.00, NULL, N'', 1);
INSERT INTO cdc.chartkeep_mark_CT VALUES (0x${LSN[2]}, NULL, 0x01, 3, 0x02, 1, N'-', 1), (0x${LSN[2]}, NULL, 0x01, 4, 0x02, 1, N'word', 1);
`

describe.skipIf(serverUrl === undefined)('on a server', () => {
  let settings: ConnectionSettings
  let questions: CdcQuestions
  let stay: Followed

  beforeAll(async () => {
    settings = await createDatabase()
    await run(settings, MADE)
    questions = askServer(await connect(settings, 'source'))
    const found = (await questions.tables()).find(({ table }) => table.info.name === 'dbo.stay')!
    const instance = (await questions.instances()).find(({ sourceTable }) => sourceTable === found.table.info.oid)!
    stay = { table: found.table, instance }
  }, 60_000)

  afterAll(async () => {
    await questions?.[Symbol.asyncDispose]()
    await dropDatabases()
  })

  it('instances come with what they capture and where they begin', () => {
    expect(stay.instance).toEqual({
      name: 'dbo_stay',
      changeTable: expect.stringMatching(/^\d+$/),
      sourceTable: stay.table.info.oid,
      created: '2026-01-02 03:04:05.000',
      low: LSN[0],
      columns: [
        { name: 'id', type: 'int', ordinal: 1 },
        { name: 'weight', type: 'decimal', ordinal: 2 },
        { name: 'seen', type: 'datetime2', ordinal: 3 },
        { name: 'note', type: 'nvarchar', ordinal: 4 },
      ],
      allowsSwitch: true,
      hasCommandId: true,
    })
  })

  it('changes come in pages, in order of commands, as exact text, with the time of their commit', async () => {
    const pages: string[][] = []
    const times = new Set<bigint>()
    let after: ChangeCursor | null = null
    for (;;) {
      const rows = await questions.page({ followed: stay, from: LSN[0], to: LSN[2], after, limit: 2 })
      if (rows.length === 0) break
      pages.push(rows.map((row) => `${row.operation}: ${lineOfRow(stay, row)}`))
      for (const { commitTimeUs } of rows) times.add(commitTimeUs)
      after = rows.at(-1)!
    }
    const [zone] = await ask(settings, 'SELECT DATEPART(tzoffset, SYSDATETIMEOFFSET()) AS minutes')
    const local = BigInt(Date.UTC(2026, 0, 2, 3, 4, 5, 997)) * 1000n - BigInt(zone?.minutes ?? 0) * 60_000_000n

    expect(pages).toEqual([
      ['2: 1\t71.50\t2026-01-02 03:04:05.123456\ta\\t中', '3: 1\t71.50\t\\N\t\\N'],
      ['4: 1\t72.00\t\\N\t\\N', '1: 1\t72.00\t\\N\t'],
    ])
    expect([...times]).toEqual([local, local + 1_003_000n])
    expect(await questions.page({ followed: stay, from: LSN[1], to: LSN[1], after: null, limit: 9 })).toEqual([])
  })

  it('how far the capture job has come is known, and how far it had', async () => {
    expect(await questions.captured()).toBe(LSN[2])
    expect(await questions.capturedBefore(3_600)).toBe(LSN[1])
    const { oldestSeconds, newestSeconds } = (await questions.span())!
    expect(oldestSeconds).toBeGreaterThan(86_400)
    expect(newestSeconds).toBeLessThan(600)
    expect(await questions.markedAt('word', LSN[0])).toBe(LSN[2])
    expect(await questions.markedAt('another', LSN[0])).toBeNull()
    await questions.mark('said')
    expect((await ask(settings, 'SELECT token FROM chartkeep.mark'))[0]).toEqual({ token: 'said' })
    expect(Math.abs(Number(await questions.nowUs()) / 1000 - Date.now())).toBeLessThan(120_000)
  })

  it('a slot is one row, and is held by one connection', async () => {
    const row = { confirmed: 2n ** 63n + 4097n, followed: { '17': LSN[0] } }
    expect(await questions.readSlot("o'k")).toBeNull()
    expect(await questions.createSlot("o'k", row)).toBe(true)
    expect(await questions.createSlot("o'k", row)).toBe(false)
    expect(await questions.readSlot("o'k")).toEqual(row)
    await questions.writeSlot("o'k", { ...row, confirmed: 2n ** 63n + 4098n })
    expect((await questions.readSlot("o'k"))?.confirmed).toBe(2n ** 63n + 4098n)

    const other = askServer(await connect(settings, 'source'))
    expect(await other.hold("o'k")).toBe(true)
    expect([await questions.isHeld("o'k"), await questions.hold("o'k")]).toEqual([true, false])
    await other[Symbol.asyncDispose]()
    await expect.poll(() => questions.isHeld("o'k")).toBe(false)
    await questions.dropSlot("o'k")
    expect(await questions.readSlot("o'k")).toBeNull()
  })

  it('facts are asked of any server', async () => {
    const facts = await questions.facts()
    expect(facts).toMatchObject({ isWritable: true, mayMark: true })
    const { fork, firstFork } = await questions.recovery()
    expect(fork).toBe(firstFork)
  })
})

// learn.microsoft.com, "cdc.<capture_instance>_CT", "Large Object Data Types": NULL "unless the column changed".
it('asks of large values whether the update changed them', () => {
  const [followed] = new CdcModel(['dbo.a']).followed('dbo.a')
  const { table, instance } = followed!
  const value = { ...table.captured[1]!, type: { ...table.captured[1]!.type, maxLength: -1 } }
  const large = { table: { ...table, captured: [table.captured[0]!, value] }, instance }
  const statement = pageStatement(
    { followed: large, from: LSN[0], to: LSN[1], after: null, limit: 5 },
    'm.tran_end_time',
  )

  expect(statement).toContain('sys.fn_cdc_is_bit_set(2, c.[__$update_mask]) = 0')
  expect(statement).not.toContain('fn_cdc_is_bit_set(1,')
})
