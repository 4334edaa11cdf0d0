/**
 * Rows of one patient, looked up and written in a live SQL Server (server.ts); without one, all of this is skipped. What
 * only SQL Server's own locks show (a ward that waits, a deadlock) is not here: docs/TESTED.md.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { applyRows, openLiveRows } from '../../../src/source/open.ts'
import type { AppliedRows, LiveRows, RowEdit } from '../../../src/source/row-contract.ts'
import { connect } from '../../../src/source/sqlserver/connect.ts'
import { ask, createDatabase, dropDatabases, run, serverUrl } from './server.ts'

const WARD = `
CREATE TABLE dbo.patient (id varchar(10) NOT NULL CONSTRAINT patient_pkey PRIMARY KEY, name nvarchar(40) NULL,
  weight decimal(6,2) NULL)
GO
CREATE TABLE dbo.note (id int IDENTITY(1,1) NOT NULL CONSTRAINT note_pkey PRIMARY KEY,
  patient varchar(10) NOT NULL CONSTRAINT note_patient REFERENCES dbo.patient (id) ON DELETE CASCADE,
  body nvarchar(max) NULL, scan varbinary(max) NULL, written datetime2(3) NULL)
GO
CREATE TABLE dbo.log (patient varchar(10) NOT NULL, line nvarchar(40) NOT NULL)
GO
INSERT INTO dbo.patient VALUES ('P1', N'甲', 70.50), ('P2', N'乙 ', NULL), ('P3', NULL, 0)
GO
INSERT INTO dbo.note (patient, body, scan, written) VALUES ('P1', N'first', 0x00, '2026-03-01T08:00:00.123'),
  ('P1', N'tab' + NCHAR(9) + N'and \\', NULL, NULL), ('P2', N'', 0x, NULL)
GO
INSERT INTO dbo.log VALUES ('P1', N'same'), ('P1', N'same'), ('P1', N'same '), ('P2', N'other')`

const signal = new AbortController().signal
const undisturbed = { lockTimeoutMs: 2000, signal }

describe.skipIf(serverUrl === undefined)('rows of a patient in SQL Server', { timeout: 240_000 }, () => {
  let settings: ConnectionSettings

  beforeAll(async () => {
    settings = await createDatabase()
    await run(settings, WARD)
  }, 240_000)

  afterAll(dropDatabases, 240_000)

  it('are found by the values of a column, each once, as of one moment', async () => {
    await using live = await openLiveRows(settings, undisturbed)
    await run(settings, "UPDATE dbo.note SET body = N'later' WHERE id = 1")

    expect(await found(live, 'dbo.note', { patient: ['P1', 'P1', 'nobody', 'P1 much too long for it'] })).toEqual([
      '1\tP1\tfirst\t0x00\t2026-03-01 08:00:00.123',
      '2\tP1\ttab\\tand \\\\\t\\N\t\\N',
    ])
    expect(await found(live, 'dbo.patient', { weight: ['70.5', '70.500', '0.001'] })).toEqual(['P1\t甲\t70.50'])
    expect(await found(live, 'dbo.patient', { name: ['甲'], weight: ['70.50'] })).toHaveLength(1)
    expect(await found(live, 'dbo.log', { patient: ['P1'] })).toEqual(['P1\tsame', 'P1\tsame', 'P1\tsame '])
    await run(settings, "UPDATE dbo.note SET body = N'first' WHERE id = 1")
  })

  it('are refused when one key is spelled in two ways, unless the collation tells them apart', async () => {
    const [other] = await ask(
      settings,
      "SELECT CASE WHEN EXISTS (SELECT 1 FROM dbo.patient WHERE id = 'p1') THEN 1 ELSE 0 END AS same",
    )
    await run(settings, "INSERT INTO dbo.log VALUES ('p1', N'another spelling')")
    await using live = await openLiveRows(settings, undisturbed)
    const looked = found(live, 'dbo.log', { patient: ['P1'] })
    if (other?.same === '1') await expect(looked).rejects.toMatchObject({ code: 'not-available' })
    else expect(await looked).toHaveLength(3)
    await run(settings, "DELETE FROM dbo.log WHERE line = N'another spelling'")
  })

  it('are put in, changed and taken out in one transaction, parents first, and counted', async () => {
    const edits = [
      { kind: 'insert', table: 'dbo.note', future: '9\tP9\tput back\\n\t0x01FF\t2026-03-01 09:00:00.456' },
      { kind: 'insert', table: 'dbo.patient', future: 'P9\t\\N\t1.25' },
      { kind: 'update', table: 'dbo.patient', present: 'P3\t\\N\t0.00', future: 'P3\t丙\t\\N' },
      { kind: 'delete', table: 'dbo.note', present: '3\tP2\t\t0x\t\\N' },
      { kind: 'delete', table: 'dbo.patient', present: 'P2\t乙 \t\\N' },
      { kind: 'delete', table: 'dbo.log', present: 'P1\tsame' },
    ] as const
    const applied = await apply(settings, edits)

    expect(applied).toMatchObject({ inserted: 2, updated: 1, deleted: 3, sideEffects: null })
    expect(await ask(settings, 'SELECT id, name FROM dbo.patient ORDER BY id')).toEqual([
      { id: 'P1', name: '甲' },
      { id: 'P3', name: '丙' },
      { id: 'P9', name: null },
    ])
    expect(await ask(settings, 'SELECT id FROM dbo.note ORDER BY id')).toEqual([{ id: '1' }, { id: '2' }, { id: '9' }])
    const [log] = await ask(settings, "SELECT COUNT(*) AS rows FROM dbo.log WHERE patient = 'P1'")
    expect(log?.rows).toBe('2')
  })

  it('are left alone when one of them is not as the plan has it, is there already, or is held', async () => {
    const change = { kind: 'update', table: 'dbo.patient', future: 'P1\t甲\t71.00' } as const
    const moved = { code: 'plan-moved' }
    await expect(apply(settings, [{ ...change, present: 'P1\t甲\t70.51' }])).rejects.toMatchObject(moved)
    const twice = { kind: 'insert', table: 'dbo.patient', future: 'P1\t甲\t71.00' } as const
    await expect(apply(settings, [twice])).rejects.toMatchObject(moved)
    expect(await weightOf('P1')).toBe('70.50')
  })

  it('are left alone while another restore of the patient is being applied', async () => {
    await using other = await connect(settings, 'target')
    await other.query('BEGIN TRANSACTION')
    await other.query("EXEC sp_getapplock 'chartkeep patient 7', 'Exclusive', 'Transaction', 0")
    const change = { kind: 'update', table: 'dbo.patient', present: 'P1\t甲\t70.50', future: 'P1\t甲\t71.00' } as const
    await expect(apply(settings, [change])).rejects.toMatchObject({
      code: 'plan-moved',
      message: expect.stringContaining('another restore'),
    })
    expect(await weightOf('P1')).toBe('70.50')
  })

  it('take no row along that nobody named (ON DELETE CASCADE)', async () => {
    const gone = { kind: 'delete', table: 'dbo.patient', present: 'P1\t甲\t70.50' } as const
    await expect(apply(settings, [gone])).rejects.toMatchObject({
      code: 'plan-moved',
      message: expect.stringContaining('rows of dbo.note refer to rows of dbo.patient'),
    })
  })

  it('are rolled back when a trigger makes something else of one, unless the column is the trigger’s', async () => {
    await run(
      settings,
      'CREATE TRIGGER dbo.heavier ON dbo.patient AFTER UPDATE AS ' +
        'UPDATE p SET weight = p.weight + 1 FROM dbo.patient p JOIN inserted i ON i.id = p.id',
    )
    const change = {
      kind: 'update',
      table: 'dbo.patient',
      present: 'P1\t甲\t70.50',
      future: 'P1\t甲二\t70.50',
    } as const
    await expect(apply(settings, [change])).rejects.toMatchObject({ code: 'restore-unproved' })
    expect(await weightOf('P1')).toBe('70.50')
    const applied = await apply(settings, [change], new Set(['dbo.patient.weight']))
    expect([...applied.triggered]).toEqual([['dbo.patient.weight', 1]])
    expect(await weightOf('P1')).toBe('71.50')
  })

  it('leave a word of the transaction where changes are followed, and nothing of it stays (P21)', async () => {
    const told = "SELECT line FROM dbo.log WHERE patient = N'mark'"
    const change = { kind: 'update', table: 'dbo.patient', present: 'P3\t丙\t\\N', future: 'P3\t丁\t1.00' } as const
    const makeTable = (characters: number) => [
      'CREATE SCHEMA chartkeep',
      `CREATE TABLE chartkeep.mark (id int NOT NULL PRIMARY KEY, token nvarchar(${characters}) NOT NULL)`,
      "CREATE TRIGGER chartkeep.told ON chartkeep.mark AFTER INSERT AS INSERT INTO dbo.log SELECT 'mark', RIGHT(token, 36) FROM inserted",
    ]
    await run(settings, makeTable(20).join('\nGO\n'))
    await apply(settings, [change], new Set(['dbo.patient.weight']))
    expect(await ask(settings, told)).toEqual([])
    await run(settings, ['DROP TABLE chartkeep.mark', 'DROP SCHEMA chartkeep', ...makeTable(200)].join('\nGO\n'))
    const back = { ...change, present: 'P3\t丁\t2.00', future: 'P3\t丙\t3.00' } as const
    const { transaction } = await apply(settings, [back], new Set(['dbo.patient.weight']))

    expect(await ask(settings, told)).toEqual([{ line: transaction.id }])
    expect(await ask(settings, 'SELECT id FROM chartkeep.mark')).toEqual([])
  })

  it('fail by name, without their values, when a constraint refuses', async () => {
    const orphan = { kind: 'insert', table: 'dbo.note', future: '10\tPLANTED\tx\t\\N\t\\N' } as const
    const refusal = await apply(settings, [orphan]).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'target-failed' })
    expect(JSON.stringify(refusal) + String(refusal)).not.toContain('PLANTED')
  })

  async function weightOf(id: string): Promise<string | null | undefined> {
    const [row] = await ask(settings, `SELECT CONVERT(nvarchar(41), weight) AS w FROM dbo.patient WHERE id = '${id}'`)
    return row?.w
  }
})

async function found(live: LiveRows, name: string, where: Readonly<Record<string, readonly string[]>>) {
  const table = live.schema.tables.find((known) => known.name === name)!
  const columns = table.columns.map((column) => column.name)
  const [first = []] = Object.values(where)
  const values = first.map((_, index) => Object.values(where).map((texts) => Buffer.from(texts[index]!)))
  const lines = await live.rows({ table, columns, where: { columns: Object.keys(where), values } })
  return lines.map(String).sort()
}

interface Edit {
  readonly kind: RowEdit['kind']
  readonly table: string
  readonly present?: string
  readonly future?: string
}

async function apply(
  settings: ConnectionSettings,
  edits: readonly Edit[],
  triggerColumns: ReadonlySet<string> = new Set(),
): Promise<AppliedRows> {
  const { schema, identity } = await lookAt(settings)
  const line = (text: string | undefined) => (text === undefined ? null : Buffer.from(text))
  const written = edits.map(({ kind, table: name, present, future }): RowEdit => {
    const table = schema.tables.find((known) => known.name === name)!
    const columns = table.columns.map((column) => column.name)
    return { kind, table, columns, present: line(present), future: line(future) }
  })
  return await applyRows(settings, {
    edits: written,
    expected: identity,
    patientLocks: [7n],
    mark: 'changeset of a test',
    searchPath: '',
    triggerColumns,
    lockTimeoutMs: 2000,
    statementTimeoutMs: 60_000,
    signal,
    beforeWriting: async () => {},
  })
}

async function lookAt(settings: ConnectionSettings): Promise<Pick<LiveRows, 'schema' | 'identity'>> {
  await using live = await openLiveRows(settings, undisturbed)
  return { schema: live.schema, identity: live.identity }
}
