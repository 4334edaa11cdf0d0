/**
 * What only a server can show. `TEST_SQLSERVER_URL` names one (`sqlserver://login@host:port`, without a database), whose login
 * may make databases, and `TEST_SQLSERVER_PASSWORD` its password; without them, all of this is skipped.
 */
import { afterAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { loadTable, openSource, openTarget, readTable } from '../../../src/source/open.ts'
import { connect } from '../../../src/source/sqlserver/connect.ts'
import { describeSource } from '../source-suite.ts'
import { EVERY_TYPE } from './every-type.ts'

const server = process.env.TEST_SQLSERVER_URL
const password = process.env.TEST_SQLSERVER_PASSWORD ?? ''
const made: string[] = []
const unhurried = { lockTimeoutMs: 5000, signal: new AbortController().signal }

function settingsOf(database: string): ConnectionSettings {
  const url = new URL(server ?? '')
  url.pathname = `/${database}`
  return { url: url.href, password }
}

async function run(settings: ConnectionSettings, sql: string): Promise<void> {
  await using session = await connect(settings, 'target')
  for (const batch of sql.split(/^GO$/m)) await session.query(batch)
}

async function createDatabase(): Promise<ConnectionSettings> {
  const name = `chartkeep_test_${process.pid}_${made.length}`
  await run(settingsOf('master'), `CREATE DATABASE ${name}`)
  made.push(name)
  const settings = settingsOf(name)
  await run(settings, `ALTER DATABASE ${name} SET ALLOW_SNAPSHOT_ISOLATION ON`)
  return settings
}

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

describe.skipIf(server === undefined)('on the SQL Server of TEST_SQLSERVER_URL', () => {
  afterAll(async () => {
    for (const name of made) await run(settingsOf('master'), `DROP DATABASE ${name}`)
  }, 120_000)

  describeSource('a SQL Server source', () => ({ createDatabase, run, example: EXAMPLE, addRows: ADD_ROWS }))

  describe('every type', () => {
    it.each(EVERY_TYPE)('$type at its extremes is exact text, there and back (F38)', async ({ type, values, text }) => {
      const settings = await createDatabase()
      const rows = values.map((value, id) => `INSERT INTO dbo.t VALUES (${id}, ${value})`).join('\nGO\n')
      await run(settings, `CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, v ${type} NULL)\nGO\n${rows}`)
      const target = await createDatabase()

      await copyDatabase(settings, target)

      const expected = text.map((line, id) => `${id}\t${line}`)
      expect(await linesOf(settings)).toEqual(expected)
      expect(await linesOf(target)).toEqual(expected)
    })
  })
})

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

async function linesOf(settings: ConnectionSettings): Promise<string[]> {
  await using source = await openSource(settings)
  await using read = await source.openRead({ tables: ['dbo.t'], ...unhurried })
  const chunks: Uint8Array[] = []
  for (const table of read.tableTickets) {
    for await (const chunk of readTable(read.ticket, table, unhurried.signal)) chunks.push(Uint8Array.from(chunk))
  }
  const lines = Buffer.concat(chunks).toString().split('\n').slice(0, -1)
  return lines.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
}
