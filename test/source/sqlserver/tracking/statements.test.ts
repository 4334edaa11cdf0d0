/**
 * What is asked of Change Tracking, held against the examples of its pages (learn.microsoft.com, "CHANGETABLE"); and what
 * of it a server without Change Tracking understands, over a table of keys made by hand.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../../src/source/contract.ts'
import { connect, type Session } from '../../../../src/source/sqlserver/connect.ts'
import { type CatalogTable, readTables } from '../../../../src/source/sqlserver/introspect.ts'
import type { SqlType } from '../../../../src/source/sqlserver/row-text.ts'
import { captureSql, OWN_TABLES } from '../../../../src/source/sqlserver/setup-capture.ts'
import { askTracking, readChanges } from '../../../../src/source/sqlserver/tracking/ask-server.ts'
import { lookAtTracking } from '../../../../src/source/sqlserver/tracking/health.ts'
import { formatMark, parseMark } from '../../../../src/source/sqlserver/tracking/mark.ts'
import { SEEN_TABLE_SQL, trackingSql } from '../../../../src/source/sqlserver/tracking/setup.ts'
import {
  changesStatement,
  countStatement,
  leaveStatement,
  minValidStatement,
  reachedStatement,
} from '../../../../src/source/sqlserver/tracking/statements.ts'
import { ask, createDatabase, dropDatabases, run, serverUrl } from '../server.ts'

const plain = { maxLength: 0, precision: 0, scale: 0, collation: null }
const column = (name: string, type: SqlType) => {
  return { name, declared: '', type, nullable: false, isIdentity: false, isComputed: false }
}
const columns = [
  column('stay', { ...plain, base: 'int', maxLength: 4 }),
  column("it's]", { ...plain, base: 'varchar', maxLength: 10, collation: 'Chinese_PRC_CI_AS' }),
  column('seen', { ...plain, base: 'datetime2', scale: 7 }),
]
const info = { name: 'dbo.vital', sqlName: '[dbo].[vital]', oid: '7', primaryKey: ['stay', "it's]"] }
const vital = { info, columns, captured: columns } as unknown as CatalogTable

/** Without line breaks. */
function flat(statement: string): string {
  return statement.replaceAll(/\s+/g, ' ')
}

describe('the statement', () => {
  it('for changes joins them with the rows by the whole key, and tells keys whose row is gone', () => {
    const text = flat(changesStatement(vital, 120n))

    expect(text).toMatch(/^DECLARE @since bigint = 120; SELECT CASE WHEN .* THEN N'1' ELSE N'0' END, CASE WHEN/)
    expect(text).toContain("CASE WHEN ck_row.[stay] IS NULL THEN N'1' ELSE N'0' END")
    expect(text).toContain(
      "FROM (SELECT ck_changes.[stay] AS ck_key0, ck_changes.[it's]]] AS ck_key1 " +
        'FROM CHANGETABLE(CHANGES [dbo].[vital], @since) AS ck_changes) AS ck_keys ' +
        "LEFT OUTER JOIN [dbo].[vital] AS ck_row ON ck_row.[stay] = ck_keys.ck_key0 AND ck_row.[it's]]] = ck_keys.ck_key1",
    )
  })

  it('for the rest is as the pages have it', () => {
    expect(flat(reachedStatement("o'k"))).toBe(
      'SELECT CONVERT(nvarchar(20), v.SYS_CHANGE_VERSION) AS version FROM [chartkeep].[seen] AS s ' +
        "CROSS APPLY CHANGETABLE(VERSION [chartkeep].[seen], (token), (s.token)) AS v WHERE s.token = N'o''k'",
    )
    expect(minValidStatement(vital)).toContain("CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[dbo].[vital]'))")
    expect(countStatement(vital)).toContain('COUNT_BIG(*)) AS count FROM [dbo].[vital]')
    expect(flat(leaveStatement('t'))).toContain("INSERT INTO [chartkeep].[seen] (token, seen_at) VALUES (N't',")
  })

  it('for setting up follow of our own tables only the one that is asked about', () => {
    expect(trackingSql('[reader]', '[icu]')).toContain("(s.name <> N'chartkeep' OR t.name = N'seen')")
    expect(captureSql('[reader]')).toContain("(s.name <> N'chartkeep' OR t.name = N'mark')")
  })

  it('for setting up stands in comment signs, which no line of it ends', () => {
    const script = trackingSql('[reader]', '[icu]')

    expect(script).toContain(
      'ALTER DATABASE [icu] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);',
    )
    expect(script).toContain('GRANT VIEW CHANGE TRACKING ON OBJECT::')
    expect(script).toContain(SEEN_TABLE_SQL)
    for (const part of [script, captureSql('[reader]')]) {
      expect(part.match(/^\/\*$/gm)).toHaveLength(1)
      expect(part.match(/^\*\/$/gm)).toHaveLength(1)
      expect(part.trimEnd().endsWith('*/\nGO')).toBe(true)
      expect(part.match(/^GO$/gm)).toHaveLength(1)
    }
  })
})

it('a mark is read back, and of another form understood by nobody', () => {
  const mark = { version: 2n ** 62n, token: 'ab'.repeat(16), definition: 'cd'.repeat(32) }

  expect(parseMark(formatMark(mark))).toEqual(mark)
  expect([parseMark(''), parseMark('ct2 1 a b'), parseMark(`${formatMark(mark)} `)]).toEqual([null, null, null])
})

describe('doctor', () => {
  const rowOf = (object_id: string, may_leave: string) => {
    return { object_id, begin_version: '1', created: '', modified: '', hobt: '1', may_leave }
  }
  /** Answers by what a statement asks for. */
  const examined = async (answers: { readonly on?: boolean; readonly tracked?: string[]; readonly may?: string }) => {
    const { on = true, tracked = [], may = '1' } = answers
    const query = async (sql: string) => {
      if (sql.includes("OBJECT_ID(N'sys.change")) return [{ id: '1' }]
      if (sql.includes('change_tracking_databases')) return on ? [{ one: '1' }] : []
      if (sql.includes('begin_version')) return tracked.map((oid) => rowOf(oid, oid === 'seen' ? '1' : '0'))
      return [{ may_view: may }]
    }
    const found = await lookAtTracking({ query } as unknown as Session, [vital])
    return found.map(({ objects, found: what }) => [objects, what])
  }

  it('says why a backup would read every row', async () => {
    expect(await examined({ on: false })).toEqual([[[], 'CHANGE_TRACKING = OFF']])
    expect(await examined({ tracked: ['7'] })).toMatchObject([[['chartkeep.seen'], expect.any(String)]])
    expect(await examined({ tracked: ['seen'] })).toEqual([[['dbo.vital'], 'CHANGE_TRACKING: not enabled']])
    expect(await examined({ tracked: ['seen', '7'], may: '0' })).toEqual([
      [['dbo.vital'], 'VIEW CHANGE TRACKING: permission denied'],
    ])
    expect(await examined({ tracked: ['seen', '7'] })).toEqual([])
  })
})

describe.skipIf(serverUrl === undefined)('on a server', () => {
  let settings: ConnectionSettings
  let session: Session
  let stay: CatalogTable

  beforeAll(async () => {
    settings = await createDatabase()
    const made = `
CREATE TABLE dbo.stay (id int NOT NULL, code nvarchar(20) NOT NULL, weight decimal(10,2) NULL, note nvarchar(200) NULL, PRIMARY KEY (id, code));
INSERT INTO dbo.stay VALUES (1, N'a', 71.50, N'x' + NCHAR(9) + N'中'), (2, N'b', NULL, NULL), (3, N'c', 1, N'');
CREATE TABLE dbo.keys (id int, code nvarchar(20));
INSERT INTO dbo.keys VALUES (1, N'a'), (2, N'b'), (9, N'gone');
GO
CREATE SCHEMA chartkeep
GO
${SEEN_TABLE_SQL}
${OWN_TABLES[1]}`
    await run(settings, made)
    session = await connect(settings, 'source')
    stay = (await readTables(session)).find(({ info: { name } }) => name === 'dbo.stay')!
  }, 60_000)

  afterAll(async () => {
    await session?.[Symbol.asyncDispose]()
    await dropDatabases()
  })

  it('keys come with their rows, or without', async () => {
    const rows: string[] = []
    const statement = changesStatement(stay, 5n, '[dbo].[keys]')
    for await (const batch of readChanges(session, stay, statement)) {
      for (const { key, line } of batch) rows.push(`${key.join('|')} → ${line}`)
    }

    expect(rows.sort()).toEqual(['1|a → 1\ta\t71.50\tx\\t中', '2|b → 2\tb\t\\N\t\\N', '9|gone → null'])
  })

  it('rows are counted, a token is left, and a database without Change Tracking is told', async () => {
    const questions = askTracking(session, session)
    await questions.leave('t1')

    expect(await questions.count(stay)).toBe(3)
    expect(await ask(settings, 'SELECT token FROM chartkeep.seen')).toEqual([{ token: 't1' }])
    expect(await questions.tracked()).toBeNull()
  })
})
