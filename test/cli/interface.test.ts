/**
 * What scripts may rely on, from an empty folder to a rebuilt database; and that no value of a row gets out on the way,
 * whatever the commands print and whatever they fail with (F42, I9).
 *
 * One story on one server: each test builds on the ones before it.
 */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { objectKeys } from '../support/repository.ts'
import { lastObject, makeSite, type Site } from './cli-support.ts'

// Many processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

/** What no output may hold: in a label, in a text, in a key, and beyond Latin-1, so that some databases refuse it. */
const PLANTED = ['PLANTED-MRN-4711', 'PLANTED-NAME-甲乙丙', 'PLANTED-KEY-0815', 'PLANTED-NOTE-丁戊己']
const ROWS = 12 + 24 + 600 + 100 + 200 + 200 + 50 + 1
const TABLES = 9

let site: Site
let base: Record<string, unknown>

beforeAll(async () => {
  const [mrn, name, key, note] = PLANTED
  site = await makeSite(
    `UPDATE patient SET mrn = '${mrn}', name = '${name}' WHERE patient_id = 3`,
    `UPDATE drug SET code = '${key}' WHERE code = 'D7'`,
    `UPDATE note SET body = '${note}' WHERE note_id = 5`,
    // A row that breaks its foreign key, as old databases have them: the server quotes it when the key is made again.
    'CREATE TABLE drug_order (order_id bigint PRIMARY KEY, code text REFERENCES drug)',
    'SET session_replication_role = replica',
    `INSERT INTO drug_order VALUES (1, '${key} gone')`,
    'RESET session_replication_role',
    `UPDATE device_log SET message = '${note}' WHERE stay_id = 103`,
  )
})

afterAll(() => site?.[Symbol.asyncDispose]())

describe('from nothing to a rebuilt database', () => {
  it('discover prints a configuration that works as it is', async () => {
    const drafted = await site.run(['discover', site.url, '--repo', `file://${site.repository}`])
    await site.writeFile('chartkeep.yaml', drafted.stdout)

    expect([drafted.status, drafted.stderr]).toEqual([0, ''])
    expect(drafted.stdout).toContain('table: public.patient')
    expect(drafted.stdout).toContain(`url: ${site.url}`)
  })

  it('init makes a repository and a recovery sheet that nobody else may read', async () => {
    const { status, stdout } = await site.run(['init', '--json'])
    const made = lastObject(stdout)
    const sheet = await stat(join(site.folder, 'chartkeep-recovery-sheet.txt'))

    expect(status).toBe(0)
    expect(made).toMatchObject({ type: 'repository', url: `file://${site.repository}` })
    expect(sheet.mode & 0o077).toBe(0)
  })

  it('backup ends with one object that says what was read and stored', async () => {
    const { status, stdout, stderr } = await site.run(['backup', '--config', 'chartkeep.yaml', '--json'])
    base = lastObject(stdout)

    expect([status, stderr]).toEqual([0, ''])
    expect(base).toMatchObject({ type: 'snapshot', mode: 'base', rows: ROWS, tables: TABLES })
    expect(base.bytesRead).toBeGreaterThan(0)
    expect(base.bytesStored).toBeGreaterThan(0)
    expect(base.seconds).toBeGreaterThan(0)
    expect(base.snapshot).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{8}$/)
  })

  it('a second backup reads all and stores little', async () => {
    await runSql(site.adminUrl, 'UPDATE icu_stay SET bed = $$bed 99$$ WHERE stay_id = 104')
    const second = lastObject((await site.run(['backup', '--json'])).stdout)

    expect(second).toMatchObject({ mode: 'full-read', rows: ROWS })
    expect(Number(second.bytesStored)).toBeLessThan(Number(base.bytesStored) / 2)
  })

  it('check, scrub and compare pass, each with its status and what it looked at', async () => {
    for (const command of ['check', 'scrub', 'compare']) {
      const { status, stdout, stderr } = await site.run([command, '--config', 'chartkeep.yaml', '--json'])
      expect([command, status, stderr]).toEqual([command, 0, ''])
      expect(lastObject(stdout)).toMatchObject({ type: command, status: 'passed', findings: [] })
    }
  })

  it('restore database rebuilds the newest snapshot, and says that it is proved', async () => {
    const into = await site.server.createDatabase('icu_rebuilt')
    const command = ['restore', 'database', '--config', 'chartkeep.yaml', '--at', 'latest', '--into', into, '--json']
    const { status, stdout } = await site.run(command)
    await using client = await connectClient(into)
    const { rows } = await client.query('SELECT mrn, name FROM patient WHERE patient_id = 3')

    expect(status).toBe(0)
    expect(lastObject(stdout)).toMatchObject({ type: 'restore', rows: ROWS, tables: TABLES, verified: true })
    expect(Number(lastObject(stdout).seconds)).toBeGreaterThan(0)
    expect(rows).toEqual([{ mrn: PLANTED[0], name: PLANTED[1] }])
  })

  it('restore database --at an earlier snapshot rebuilds that one', async () => {
    const into = await site.server.createDatabase('icu_earlier')
    const { status } = await site.run(['restore', 'database', '--at', String(base.snapshot), '--into', into])
    await using client = await connectClient(into)
    const { rows } = await client.query('SELECT bed FROM icu_stay WHERE stay_id = 104')

    expect(status).toBe(0)
    expect(rows).toEqual([{ bed: 'bed 4' }])
  })

  it('snapshots and show list what there is', async () => {
    const listed = (await site.run(['snapshots', '--json'])).stdout.trimEnd().split('\n')
    const shown = lastObject((await site.run(['show', String(base.snapshot), '--json'])).stdout)

    expect(listed.map((line) => JSON.parse(line).mode)).toEqual(['base', 'full-read'])
    expect(shown).toMatchObject({ type: 'manifest', snapshotId: base.snapshot, mode: 'base' })
  })

  it('a checkpoint taken out now is confirmed later', async () => {
    await site.writeFile('checkpoint.txt', (await site.run(['ledger', 'checkpoint'])).stdout)
    const { status, stdout } = await site.run(['ledger', 'verify', '--since', 'checkpoint.txt', '--json'])

    expect(status).toBe(0)
    expect(lastObject(stdout)).toMatchObject({ type: 'ledger', kind: 'consistent' })
  })
})

describe('values of rows', () => {
  it('do not get out of commands that print for people', async () => {
    for (const command of ['snapshots', 'show', 'check', 'scrub', 'compare', 'audit']) {
      expect([command, (await site.run([command])).status]).toEqual([command, 0])
    }

    expect(leaks()).toEqual([])
  })

  it('do not get out of a restore of rows that break a foreign key', async () => {
    const into = await site.server.createDatabase('icu_broken_key')
    const { status, stdout } = await site.run(['restore', 'database', '--at', 'latest', '--into', into])

    expect(status).toBe(0)
    expect(stdout).toMatch(/^skipped .*drug_order/m)
    expect(leaks()).toEqual([])
  })

  it('do not get out of a restore that the target refuses', async () => {
    const into = await site.server.createDatabase('icu_latin', { encoding: 'LATIN1' })
    const { status, stderr } = await site.run(['restore', 'database', '--at', 'latest', '--into', into, '--json'])

    expect(status).toBe(52)
    expect(lastObject(stderr)).toMatchObject({ type: 'error', code: 'target-failed', exit: 52 })
    expect(leaks()).toEqual([])
  })

  it('do not get out of a compare that finds other rows', async () => {
    await runSql(site.adminUrl, `UPDATE patient SET name = '${PLANTED[1]} again' WHERE patient_id = 3`)
    const found = await site.run(['compare', '--json'])

    expect([60, 61]).toContain(found.status)
    expect(JSON.stringify(lastObject(found.stdout).findings)).toContain('public.patient')
    expect(leaks()).toEqual([])
  })

  it('do not get out of a backup that row-level security would leave half', async () => {
    await runSql(
      site.adminUrl,
      `CREATE TABLE bed_map (code text, bed text)`,
      `INSERT INTO bed_map VALUES ('${PLANTED[2]}', 'a')`,
      `CREATE FUNCTION tell() RETURNS boolean LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no row %', (SELECT name FROM patient WHERE patient_id = 3); END $$`,
      `CREATE POLICY nosy ON bed_map USING (tell())`,
      `ALTER TABLE bed_map ENABLE ROW LEVEL SECURITY`,
      `ALTER ROLE chartkeep NOBYPASSRLS`,
    )
    const { status, stderr } = await site.run(['backup'])
    await runSql(site.adminUrl, 'ALTER ROLE chartkeep BYPASSRLS', 'DROP TABLE bed_map', 'DROP FUNCTION tell')

    expect(status).toBe(14)
    expect(stderr).toContain('public.bed_map')
    expect(leaks()).toEqual([])
  })

  it('do not get out of a restore that a function of the database ends', async () => {
    await runSql(
      site.adminUrl,
      'CREATE FUNCTION fits(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$',
      'CREATE TABLE bed_code (code text PRIMARY KEY CHECK (fits(code)))',
      `INSERT INTO bed_code VALUES ('${PLANTED[2]}')`,
      // What the rows once passed they pass no more, and the server quotes the value that does not.
      `CREATE OR REPLACE FUNCTION fits(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
         $$ BEGIN RETURN $1::integer > 0; END $$`,
    )
    const into = await site.server.createDatabase('icu_judged')
    const taken = await site.run(['backup'])
    const restored = await site.run(['restore', 'database', '--at', 'latest', '--into', into])

    expect([taken.status, restored.status]).toEqual([0, 52])
    expect(restored.stderr).toContain('22P02')
    expect(leaks()).toEqual([])
  })

  it('do not get out of findings about a damaged repository', async () => {
    const packs = (await objectKeys(site.repository)).filter((key) => key.startsWith('packs/'))
    for (const key of packs) {
      const path = join(site.repository, key)
      const bytes = await readFile(path)
      bytes[Math.floor(bytes.length / 2)]! ^= 1
      await writeFile(path, bytes)
    }
    const scrubbed = await site.run(['scrub', '--json'])
    const into = await site.server.createDatabase('icu_damaged')
    const restored = await site.run(['restore', 'database', '--at', 'latest', '--into', into])

    expect(scrubbed.status).toBe(60)
    expect(lastObject(scrubbed.stdout)).toMatchObject({ status: 'failed' })
    expect(restored.status).not.toBe(0)
    expect(leaks()).toEqual([])
  })

  it('stand in no object of the repository, nor in its name', async () => {
    for (const key of await objectKeys(site.repository)) {
      const bytes = await readFile(join(site.repository, key))
      for (const value of PLANTED) expect([key.includes(value), bytes.includes(value)]).toEqual([false, false])
    }
  })
})

function leaks(): string[] {
  return [...site.printed]
    .filter(([, text]) => PLANTED.some((value) => text.includes(value)))
    .map(([command]) => command)
}
