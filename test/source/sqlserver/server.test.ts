/** What only a server can show (server.ts); without one, all of this is skipped. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { loadTable, openSource, openTarget, readTable } from '../../../src/source/open.ts'
import { connect, type Session } from '../../../src/source/sqlserver/connect.ts'
import { lineOf } from '../../../src/source/sqlserver/copy-line.ts'
import { readColumns } from '../../../src/source/sqlserver/introspect.ts'
import { textForm } from '../../../src/source/sqlserver/row-text.ts'
import { describeSource } from '../source-suite.ts'
import { EVERY_TYPE, type TypeCase } from './every-type.ts'
import { createDatabase, dropDatabases, run, serverUrl } from './server.ts'

const unhurried = { lockTimeoutMs: 5000, signal: new AbortController().signal }

const EXAMPLE = `
CREATE SCHEMA ward
GO
CREATE TABLE ward.patient (id int NOT NULL CONSTRAINT patient_pkey PRIMARY KEY, name nvarchar(40) NOT NULL)
GO
CREATE TABLE ward.note (id int IDENTITY(1,1) NOT NULL CONSTRAINT note_pkey PRIMARY KEY,
  patient_id int NOT NULL CONSTRAINT note_patient REFERENCES ward.patient (id), body nvarchar(max) NULL)
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO ward.patient (id, name) SELECT i, N'患者 ' + CONVERT(nvarchar(10), i) FROM n OPTION (MAXRECURSION 0)
GO
INSERT INTO ward.note (patient_id, body) SELECT id, CASE WHEN id % 3 = 0 THEN NULL ELSE N'记录' END FROM ward.patient`

const ADD_ROWS = `INSERT INTO ward.patient VALUES (1001, N'new'); INSERT INTO ward.note (patient_id) VALUES (1001)`

describe.skipIf(serverUrl === undefined)('on the SQL Server of TEST_SQLSERVER_URL', { timeout: 240_000 }, () => {
  afterAll(dropDatabases, 120_000)

  describeSource('a SQL Server source', () => ({ createDatabase, run, example: EXAMPLE, addRows: ADD_ROWS }))

  describe('every type', () => {
    const seen = new Map<string, { readonly source: readonly string[]; readonly target: readonly string[] }>()
    const refused = new Map<string, string>()

    beforeAll(async () => {
      const settings = await createDatabase()
      const carried = await probe(settings, refused)
      await run(settings, filledTable(carried))
      const target = await createDatabase()
      await copyDatabase(settings, target)
      const [before, after] = [await fieldsIn(settings), await fieldsIn(target)]
      for (const [position, { type }] of carried.entries()) {
        const column = (lines: readonly (readonly string[])[]) => lines.map((fields) => fields[position + 1] ?? '')
        seen.set(type, { source: column(before), target: column(after) })
      }
    }, 240_000)

    it.for(EVERY_TYPE)('$type at its extremes is exact text, there and back (F38)', ({ type, text }, { skip }) => {
      skip(refused.has(type), refused.get(type))
      const padded = Array.from({ length: ROWS }, (_, id) => text[id] ?? '\\N')
      expect(seen.get(type)).toEqual({ source: padded, target: padded })
    })
  })
})

const ROWS = Math.max(...EVERY_TYPE.map(({ values }) => values.length))

/**
 * The types that the server carries. SQL Server carries them all; what only speaks its protocol, those whose values it
 * gives as Microsoft's pages say when it is asked for them itself: what it bends says nothing of us.
 */
async function probe(settings: ConnectionSettings, refused: Map<string, string>): Promise<readonly TypeCase[]> {
  await using session = await connect(settings, 'target')
  const [server] = await session.query(
    "SELECT CASE WHEN @@VERSION LIKE 'Microsoft SQL Server%' THEN 1 ELSE 0 END AS genuine",
  )
  if (server?.genuine === '1') return EVERY_TYPE
  for (const [number, each] of EVERY_TYPE.entries()) {
    const answers = await answersOf(session, `dbo.probe_${number}`, each).catch(() => ['it refuses them'])
    const wrong = answers.find((answer, index) => answer !== each.text[index])
    if (wrong !== undefined) refused.set(each.type, `the server's own values of ${each.type}: ${wrong}`)
  }
  for (const number of EVERY_TYPE.keys()) await session.query(`DROP TABLE IF EXISTS dbo.probe_${number}`)
  return EVERY_TYPE.filter(({ type }) => !refused.has(type))
}

async function answersOf(session: Session, table: string, { type, values }: TypeCase): Promise<string[]> {
  await session.query(`CREATE TABLE ${table} (id int NOT NULL, v ${type} NULL)`)
  await session.query(values.map((value, id) => `INSERT INTO ${table} VALUES (${id}, ${value})`).join(';\n'))
  const column = (await readColumns(session, table)).find(({ name }) => name === 'v')
  const form = column && textForm(column.type)
  const answers: string[] = []
  for await (const fields of session.rows(`SELECT ${form?.read('v')} AS v FROM ${table} ORDER BY id`)) {
    answers.push(String(lineOf(fields)).slice(0, -1))
  }
  return answers
}

function filledTable(cases: readonly TypeCase[]): string {
  const columns = cases.map(({ type }, position) => `c${position} ${type} NULL`)
  const rows = Array.from({ length: ROWS }, (_, id) => {
    const values = cases.map(({ values }) => values[id] ?? 'NULL')
    return `INSERT INTO dbo.t VALUES (${[id, ...values].join(', ')})`
  })
  return [`CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, ${columns.join(', ')})`, ...rows].join('\nGO\n')
}

async function copyDatabase(from: ConnectionSettings, into: ConnectionSettings): Promise<void> {
  await using source = await openSource(from)
  await using read = await source.openRead({ tables: ['dbo.t'], ...unhurried })
  const { steps } = await read.readDdl()
  await using target = await openTarget(into)
  await target.runSteps(steps.filter(({ phase }) => phase === 'before-rows'))
  for (const table of read.tableTickets) {
    const rows = readTable(read.ticket, table, unhurried.signal)
    await loadTable(into, { ...table, encoding: read.ticket.encoding }, rows, unhurried.signal)
  }
  await target.runSteps(steps.filter(({ phase }) => phase !== 'before-rows'))
}

/** In the order of the first field. */
async function fieldsIn(settings: ConnectionSettings): Promise<string[][]> {
  await using source = await openSource(settings)
  await using read = await source.openRead({ tables: ['dbo.t'], ...unhurried })
  const chunks: Uint8Array[] = []
  for (const table of read.tableTickets) {
    for await (const chunk of readTable(read.ticket, table, unhurried.signal)) chunks.push(Uint8Array.from(chunk))
  }
  const lines = Buffer.concat(chunks).toString().split('\n').slice(0, -1)
  return lines.map((line) => line.split('\t')).sort((a, b) => Number(a[0]) - Number(b[0]))
}
