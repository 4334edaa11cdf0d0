/**
 * What is tried on copies of a SQL Server: drills, guards around a change of the clinical system, certificates. On the
 * server of `TEST_SQLSERVER_URL` (server.ts), which is source and server for copies in one; without it, skipped.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { askDatabase, openScratchServer } from '../../../src/source/open.ts'
import { lastObject } from '../../cli/cli-support.ts'
import { CommandLine } from './command-line.ts'
import { ask, createDatabase, dropDatabases, password, run, serverUrl, settingsOf } from './server.ts'
import { PATIENTS, PLANTED, ROWS, WARD } from './ward.ts'

const TIMEOUT_MS = 600_000
const LEFT_BEHIND = 'chartkeep_scratch_00000000000000aa'
const SOMEBODYS = 'chartkeep_scratch_00000000000000bb'
const OPEN_STAYS = 4
const CONFIGURED = `scratch: { url: "SERVER" }
drill: { everyDays: 30, checks: [
  { name: patients, sql: "SELECT count(*) FROM ward.patient", expected: ${PATIENTS} },
  { name: stays, sql: "SELECT bed, admitted FROM ward.icu_stay" } ] }
explain: { closed: [{ table: ward.icu_stay, key: stay_id, column: left_at }] }`

describe.skipIf(serverUrl === undefined)('copies of a SQL Server', { timeout: TIMEOUT_MS }, () => {
  let chartkeep: CommandLine
  let source: ConnectionSettings

  const command = (...args: readonly string[]) => chartkeep.run(...args)
  const succeeded = (...args: readonly string[]) => chartkeep.succeeded(...args)
  const scratchDatabases = async () => {
    const rows = await ask(settingsOf('master'), 'SELECT d.name AS name FROM sys.databases d')
    return rows.map(({ name }) => name ?? '').filter((name) => name.startsWith('chartkeep_scratch_'))
  }
  const wish = () => {
    return { serverVersionNumber: 0, encoding: 'UTF8', password: '', on: server(), nowMs: Date.now }
  }
  const server = () => {
    const url = new URL(serverUrl ?? '')
    return { url: url.href, password }
  }

  beforeAll(async () => {
    chartkeep = await CommandLine.make(TIMEOUT_MS)
    source = await createDatabase()
    await run(source, WARD)
    await run(source, 'ALTER TABLE ward.icu_stay ADD left_at datetime2(3) NULL')
    await run(source, `UPDATE ward.icu_stay SET left_at = '2026-04-01' WHERE stay_id > ${100 + OPEN_STAYS}`)
    const drafted = await command('discover', source.url, '--repo', chartkeep.repositoryUrl)
    const file = drafted.stdout.replace(/^( +)(url: ["']?sqlserver:.*)/m, (_, indent: string, url: string) =>
      [url, ...CONFIGURED.replace('SERVER', server().url).split('\n')].map((line) => indent + line).join('\n'),
    )
    await writeFile(join(chartkeep.folder, 'chartkeep.yaml'), file)
    await succeeded('init')
    await succeeded('backup')
  }, TIMEOUT_MS)

  afterAll(async () => {
    await dropDatabases()
    for (const name of serverUrl === undefined ? [] : await scratchDatabases())
      await run(settingsOf('master'), `DROP DATABASE ${name}`)
    await chartkeep?.[Symbol.asyncDispose]()
  }, TIMEOUT_MS)

  it('a drill rebuilds a copy on the server for copies, asks it and the source, and drops it with proof', async () => {
    const report = await succeeded('drill')

    expect(report).toMatchObject({ type: 'drill', status: 'passed', environment: { kind: 'made' }, findings: [] })
    expect(report.tables).toHaveLength(4)
    expect((report.tables as { equal: boolean }[]).every(({ equal }) => equal)).toBe(true)
    expect((report.checks as { outcome: string }[]).map(({ outcome }) => outcome)).toEqual(['same', 'same'])
    expect(report.cleanup).toEqual({
      kind: 'made',
      what: expect.stringMatching(/^chartkeep_scratch_[0-9a-f]{16}$/),
      asked: [
        { question: 'server does not list the database any more', answer: true },
        { question: 'database cannot be opened any more', answer: true },
      ],
      clean: true,
    })
    expect(await scratchDatabases()).toEqual([])
  })

  it('what a killed one left is removed by the next; a database that is in use, or is not ours, is not', async () => {
    await using inUse = await openScratchServer(source.url, wish())
    for (const name of [LEFT_BEHIND, SOMEBODYS]) {
      await run(settingsOf('master'), `CREATE DATABASE ${name}`)
      await run(settingsOf(name), 'CREATE TABLE dbo.left_behind (id int)')
    }
    await run(settingsOf(LEFT_BEHIND), "EXEC sys.sp_addextendedproperty N'chartkeep_scratch', N'chartkeep'")
    await using next = await openScratchServer(source.url, wish())
    const names = [inUse, next].map(({ connection }) => new URL(connection.url).pathname.slice(1))

    expect((await scratchDatabases()).sort()).toEqual([SOMEBODYS, ...names].sort())
    await run(settingsOf('master'), `DROP DATABASE ${SOMEBODYS}`)
    expect(await inUse.erase()).toMatchObject({ asked: [{ answer: true }, { answer: true }] })
  })

  it('a drill of one patient deletes every row of it from the copy, and puts all back', async () => {
    const report = await succeeded('drill', '--scenario', 'patient', '--patient', '3', '--leave-source')

    expect(report).toMatchObject({ scenario: 'patient', status: 'passed', cleanup: { clean: true } })
    expect((report.tables as { equal: boolean }[]).map(({ equal }) => equal)).toEqual([true, true, true, true])
  })

  it('a drill in a database that was given clears it, and names the server for what it is', async () => {
    const given = await createDatabase()
    const report = await succeeded('drill', '--scenario', 'table', '--into', given.url, '--leave-source')

    expect(report).toMatchObject({ status: 'passed', cleanup: { kind: 'given', clean: true } })
    expect((report.environment as { server: string }).server).toMatch(/^SQL Server \d+/)
  })

  it('questions are answered by counts and digests, and what one writes does not stay', async () => {
    const answers = (sqls: readonly string[], salt = new Uint8Array(16)) => {
      const questions = sqls.map((sql, index) => ({ name: `q${index}`, sql }))
      return askDatabase(source, questions, { salt, nowMs: Date.now, signal: new AbortController().signal })
    }
    const time = (fraction: string) => `SELECT 1, 1, CONVERT(datetime2(3), '2026-03-01T10:00:00.${fraction}')`
    const [count, wrong, early, late, again, written, after] = await answers([
      'SELECT count(*) FROM ward.patient',
      'SELECT nothing FROM ward.patient',
      time('001'),
      time('002'),
      time('001'),
      'DELETE FROM ward.note; SELECT count(*) FROM ward.note',
      'SELECT count(*) FROM ward.patient',
    ])

    expect([count?.number, after?.number]).toEqual([String(PATIENTS), String(PATIENTS)])
    expect(wrong?.failure).toMatch(/^error \d+$/)
    expect(early?.digest).toBe(again?.digest)
    expect(early?.digest).not.toBe(late?.digest)
    expect(written?.failure).toBe(null)
    expect(await ask(source, 'SELECT count(*) AS rows FROM ward.note')).not.toEqual([{ rows: '0' }])
  })

  it('a guard tells what an upgrade changed, and that a closed record was among it', async () => {
    const begun = await succeeded('guard', 'begin', '--reason', 'upgrade 5.2')
    await run(source, 'ALTER TABLE ward.patient ADD phone nvarchar(20) NULL')
    await run(source, "UPDATE ward.icu_stay SET bed = N'moved' WHERE stay_id = 101")
    await run(source, 'UPDATE ward.vital_sign SET reading = reading + 1 WHERE stay_id = 120')
    const { status, stdout } = await command('guard', 'end', '--json')
    const ended = lastObject(stdout)
    const changed = (ended.tables as { table: string; updated: { closed: number } }[]).map(({ table, updated }) => {
      return [table, updated.closed]
    })

    expect(begun).toMatchObject({ before: { rows: ROWS, proved: 'passed' } })
    expect(status).toBe(60)
    expect(ended).toMatchObject({ history: 'changed', after: { proved: 'passed' } })
    expect(changed).toEqual(
      expect.arrayContaining([
        ['ward.vital_sign', 20],
        ['ward.icu_stay', 0],
      ]),
    )
    expect((ended.schema as { changed: string[] }).changed).toContain('TABLE ward.patient')
  })

  it('a certificate counts what nothing accounts for, tries a copy of its own, and verifies', async () => {
    await run(source, 'DELETE FROM ward.note WHERE note_id <= 2')
    await succeeded('backup')
    const issued = await succeeded('certificate', 'issue', '--out', 'c', '--sample-seed', '417', '--lang', 'zh')
    const certificate = JSON.parse(await readFile(join(chartkeep.folder, 'c', 'certificate.json'), 'utf8'))
    const verified = await command('certificate', 'verify', 'c')

    expect(issued).toMatchObject({
      opinion: { verdict: 'adverse', because: expect.arrayContaining(['unexplained']) },
    })
    expect(certificate.demonstrations.map(({ failures }: { failures: number }) => failures)).toEqual([0, 0, 0, 0])
    expect(certificate.restoredCopy).toMatchObject({ rows: ROWS - 2, server: expect.stringMatching(/^SQL Server /) })
    expect([verified.status, verified.stdout]).toEqual([0, expect.stringContaining('opinion adverse')])
    expect(await scratchDatabases()).toEqual([])
  })

  it('no value of a row was printed', () => {
    expect(chartkeep.printed.join('')).not.toContain(PLANTED)
  })
})
