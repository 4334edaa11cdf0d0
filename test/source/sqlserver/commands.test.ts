/**
 * A SQL Server from the command line: drafted, backed up, found unchanged, compared, rebuilt. One story, on the server of
 * `TEST_SQLSERVER_URL` (server.ts); without one, all of this is skipped.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { lastObject } from '../../cli/cli-support.ts'
import { CommandLine } from './command-line.ts'
import { ask, createDatabase, dropDatabases, run, serverUrl } from './server.ts'
import { NOTES, PLANTED, ROWS, WARD } from './ward.ts'

describe.skipIf(serverUrl === undefined)('a SQL Server by the command line', { timeout: 300_000 }, () => {
  let chartkeep: CommandLine
  let source: ConnectionSettings
  let base: Record<string, unknown>
  let rebuilt: ConnectionSettings

  const command = (...args: readonly string[]) => chartkeep.run(...args)
  const succeeded = (...args: readonly string[]) => chartkeep.succeeded(...args)

  beforeAll(async () => {
    chartkeep = await CommandLine.make(300_000)
    source = await createDatabase()
    await run(source, WARD)
  }, 300_000)

  afterAll(async () => {
    await dropDatabases()
    await chartkeep?.[Symbol.asyncDispose]()
  }, 300_000)

  it('discover drafts a configuration that works as it is', async () => {
    const drafted = await command('discover', source.url, '--repo', chartkeep.repositoryUrl)
    await writeFile(join(chartkeep.folder, 'chartkeep.yaml'), drafted.stdout)

    expect([drafted.status, drafted.stderr]).toEqual([0, ''])
    expect(drafted.stdout).toContain('table: ward.patient')
  })

  it('backup reads every row', async () => {
    await succeeded('init')
    base = await succeeded('backup')
    expect(base).toMatchObject({ type: 'snapshot', mode: 'base', rows: ROWS, tables: 4 })
  })

  it('a second backup reads all again, and stores what changed', async () => {
    await run(source, "UPDATE ward.icu_stay SET bed = N'bed 99' WHERE stay_id = 104")
    const second = await succeeded('backup')
    expect(second).toMatchObject({ mode: 'full-read', rows: ROWS })
    expect(Number(second.bytesStored)).toBeLessThan(Number(base.bytesStored) / 2)
  })

  it('check and compare pass; status says what the repository holds', async () => {
    for (const name of ['check', 'compare']) {
      expect(await succeeded(name)).toMatchObject({ type: name, status: 'passed', findings: [] })
    }
    expect((await command('status', '--json')).stdout).toContain('"source"')
  })

  it('setup-sql prints what its administrator runs; doctor examines it', async () => {
    const { sql } = await succeeded('setup-sql')
    expect(sql).toContain('SET ALLOW_SNAPSHOT_ISOLATION ON')
    const { stdout } = await command('doctor', '--json')
    const { findings } = lastObject(stdout) as { findings: { id: string }[] }
    const found = findings.map(({ id }) => id)
    expect(found).toContain('writer-unset')
    for (const trouble of ['source-unreachable', 'role-rights', 'role-rls', 'clock-server', 'table-without-key']) {
      expect(found).not.toContain(trouble)
    }
  })

  describe('one patient', () => {
    const emergency = ['--yes', '--emergency', 'rows deleted by mistake'] as const
    let before: Awaited<ReturnType<typeof rowsOfWard>>
    let damaged: typeof before
    let changeset: string

    beforeAll(async () => {
      const file = join(chartkeep.folder, 'chartkeep.yaml')
      const drafted = await readFile(file, 'utf8')
      await writeFile(file, drafted.replace(/^( +)(url: ["']?sqlserver:)/m, `$1writer: { url: '${source.url}' }\n$1$2`))
    })

    it('is planned: what was deleted and changed, and no value on the terminal', async () => {
      before = await rowsOfWard()
      await run(source, 'DELETE FROM ward.note WHERE stay_id IN (103, 115)')
      await run(source, "UPDATE ward.icu_stay SET bed = N'wrong' WHERE stay_id = 103")
      damaged = await rowsOfWard()
      const plan = ['restore', 'patient', '3', '--policy', 'changed', '--purpose', 'request 117', '--plan', 'plan.json']
      const { tables } = await succeeded(...plan)
      const inserts = (tables as { insert: number }[]).reduce((sum, { insert }) => sum + insert, 0)
      expect(inserts).toBe(4)
      expect(await rowsOfWard()).toEqual(damaged)
    })

    it('is put back, row for row, identities too', async () => {
      const applied = await succeeded('restore', 'patient', '--apply', 'plan.json', ...emergency)
      expect(applied).toMatchObject({ type: 'applied', inserted: 4, updated: 1, deleted: 0 })
      expect(await rowsOfWard()).toEqual(before)
      changeset = String(applied.changesetId)
    })

    it('is undone', async () => {
      await succeeded('undo', changeset, '--plan', 'undo.json')
      const undone = await succeeded('restore', 'patient', '--apply', 'undo.json', ...emergency)
      expect(undone).toMatchObject({ inserted: 0, updated: 1, deleted: 4 })
      expect(await rowsOfWard()).toEqual(damaged)
    })

    async function rowsOfWard() {
      const notes = `SELECT note_id, stay_id, CONVERT(nvarchar(max), body) AS body,
        CONVERT(nvarchar(34), written, 121) AS written FROM ward.note ORDER BY note_id`
      return [await ask(source, notes), await ask(source, 'SELECT stay_id, bed FROM ward.icu_stay ORDER BY stay_id')]
    }
  })

  it('restore database rebuilds rows, keys, counters and views, and proves it', async () => {
    rebuilt = await createDatabase()
    const restored = await succeeded('restore', 'database', '--into', rebuilt.url)
    expect(restored).toMatchObject({ type: 'restore', rows: ROWS, tables: 4, verified: true })
    expect(await ask(rebuilt, 'SELECT bed FROM ward.beds WHERE stay_id = 104')).toEqual([{ bed: 'bed 99' }])
    expect(await ask(rebuilt, 'SELECT name FROM ward.patient WHERE patient_id = 3')).toEqual([{ name: PLANTED }])
    const [note] = await ask(
      rebuilt,
      'INSERT INTO ward.note (stay_id) VALUES (101); SELECT MAX(note_id) AS next FROM ward.note',
    )
    expect(note).toEqual({ next: String(NOTES + 1) })
    await run(rebuilt, `DELETE FROM ward.note WHERE note_id = ${NOTES + 1}`)
    const orphan = run(rebuilt, "INSERT INTO ward.icu_stay (stay_id, patient_id, admitted) VALUES (1, 999, '20260301')")
    await expect(orphan).rejects.toThrow()
  })

  it('compare holds the rebuilt one to the snapshot, and sees one row that is not', async () => {
    const against = ['compare', '--against', rebuilt.url] as const
    expect(await succeeded(...against)).toMatchObject({ status: 'passed' })
    await run(rebuilt, "UPDATE ward.vital_sign SET reading = reading + 0.0001 WHERE stay_id = 105 AND code = 'HR'")
    const { stdout } = await command(...against, '--json')
    expect(lastObject(stdout)).toMatchObject({ type: 'compare', status: 'failed' })
  })

  it('a target that is the source, or holds anything, is refused', async () => {
    const refused = async (into: string) => (await command('restore', 'database', '--into', into)).stderr
    expect(await refused(source.url)).toContain('error target-is-source: ')
    expect(await refused(rebuilt.url)).toContain('error target-not-empty: ')
  })

  it('no value of a row was printed', () => {
    expect(chartkeep.printed.join('')).not.toContain(PLANTED)
  })
})
