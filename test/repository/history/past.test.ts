/**
 * What happened, told from a real server's change log and snapshots: every event fits the row before it, and all of them
 * together lead from one COPY to the other; a record and a patient are followed over changes of key and of anchor.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeIdOf, type HistoryEvent } from '../../../src/repository/history/event.ts'
import { parseEdge } from '../../../src/repository/history/interval.ts'
import { readPast } from '../../../src/repository/history/past.ts'
import { wholeTable } from '../../../src/repository/history/question.ts'
import { readPatient, readRecord } from '../../../src/repository/history/read-all.ts'
import { formatLsn } from '../../../src/repository/lsn.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import { resolveTarget } from '../../../src/repository/state/target.ts'
import { connectClient, describeOnServers, oldestAndNewest, runSql } from '../../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../../support/capture-by-hand.ts'
import { whileCommitHangs } from '../../support/hanging-commit.ts'
import { readTrees } from '../../support/read-back.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { wardLayout, wardSql } from '../../support/ward.ts'
import { replayed } from './replay.ts'

const PUBLISHED = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug', 'bed_use']
const TABLES = [
  'public.patient',
  'public.icu_stay',
  'public.vital_sign',
  'public.diagnosis',
  'public.note',
  'public.drug',
  'public.device_log',
  'public.bed_use',
]

const layout = { ...wardLayout, anchors: new Map([...wardLayout.anchors, ['public.bed_use', 'stay_id']]) }

describeOnServers('the past', oldestAndNewest.slice(-1), (server) => {
  let made: TestRepository
  let captured: CapturedDatabase
  let url: string
  let first: Manifest
  let second: Manifest
  let last: Manifest

  beforeAll(async () => {
    made = await makeRepository()
    url = await server().createDatabase('past')
    await runSql(
      url,
      ...wardSql({ vitals: 600 }),
      'CREATE TABLE bed_use (id integer PRIMARY KEY, stay_id bigint REFERENCES icu_stay, bed text)',
      `INSERT INTO bed_use SELECT n, 110, 'bed ' || n FROM generate_series(1, 9) n`,
      `UPDATE note SET body = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n) WHERE note_id = 7`,
    )
    captured = await captureDatabase({ made, url, layout, tables: PUBLISHED })
    first = await captured.snapshot()
    await play()
    last = await captured.snapshot()
  }, 120_000)

  afterAll(async () => {
    await captured?.[Symbol.asyncDispose]()
    await made?.[Symbol.asyncDispose]()
  })

  async function play(): Promise<void> {
    await runSql(
      url,
      // A record that changes its key, and another that takes the key that came free (F21).
      `UPDATE drug SET label = 'first' WHERE code = 'D3'`,
      `UPDATE drug SET code = 'X3', label = 'renamed' WHERE code = 'D3'`,
      `INSERT INTO drug VALUES ('D3', 'another')`,
      `UPDATE drug SET label = 'renamed again' WHERE code = 'X3'`,
      // A large value that is not sent again, in a row that moves to another stay (F13).
      'UPDATE note SET stay_id = 105 WHERE note_id = 7',
      // A new stay of patient 4, with rows; and a stay that is moved to patient 4 and back.
      `BEGIN; INSERT INTO icu_stay VALUES (900, 4, 'new'); INSERT INTO vital_sign VALUES (9000, 900, now(), 'HR', 80); COMMIT`,
      'UPDATE icu_stay SET patient_id = 4 WHERE stay_id = 104',
      'UPDATE vital_sign SET value = 1 WHERE stay_id = 104 AND id < 30',
      'UPDATE icu_stay SET patient_id = 5 WHERE stay_id = 104',
      'DELETE FROM vital_sign WHERE id IN (2, 26, 50)',
    )
    // One commit lies before another in the log, and only the later one is visible to the snapshot (P3).
    await whileCommitHangs(url, `UPDATE drug SET label = 'late' WHERE code = 'D9'`, async () => {
      await runSql(url, 'SET synchronous_commit = off', `DELETE FROM drug WHERE code = 'D8'`)
      second = await captured.snapshot()
    })
    await runSql(
      url,
      `INSERT INTO device_log VALUES (103, 'unlogged'), (103, 'unlogged')`,
      // Another patient's row comes to a key that a row of patient 4 had, and is changed under it (F21).
      'UPDATE vital_sign SET id = 2 WHERE id = 4',
      'UPDATE vital_sign SET value = 7 WHERE id = 2',
      'UPDATE vital_sign SET value = 2 WHERE id < 100',
      `UPDATE bed_use SET bed = 'known' WHERE id <= 3`,
    )
    await captured.caughtUp()
    await runSql(
      url,
      // Rows move to other places of the tree, of some of which the log knew something, while nobody follows them.
      'ALTER TABLE bed_use ADD COLUMN extra integer',
      'UPDATE bed_use SET stay_id = 101 WHERE id IN (1, 4)',
      'UPDATE bed_use SET stay_id = 124 WHERE id IN (2, 5)',
      'DELETE FROM bed_use WHERE id IN (3, 6)',
      // Closes the table: what comes behind it lies between that and the next snapshot.
      'ALTER TABLE diagnosis ADD COLUMN extra integer',
      // Not a byte of its rows changes, nor does anything come through the stream: its columns exchange their names (P2).
      'ALTER TABLE patient RENAME mrn TO x; ALTER TABLE patient RENAME name TO mrn; ALTER TABLE patient RENAME x TO name',
      `UPDATE diagnosis SET code = 'changed' WHERE line = 3`,
      `DELETE FROM diagnosis WHERE line = 4`,
      `INSERT INTO diagnosis VALUES (103, 9999, 'new', 1)`,
    )
    await captured.caughtUp()
    await captured.snapshot()
    await runSql(url, `UPDATE diagnosis SET code = 'followed again' WHERE line = 5`)
    await captured.caughtUp()
    // Nobody captures meanwhile; the slot keeps it, and the log is whole.
    await captured.stop()
    await runSql(url, 'TRUNCATE drug', `INSERT INTO drug VALUES ('D3', 'after all were gone')`)
    await captured.start()
    await captured.caughtUp()
  }

  function asked(since: string | null = null, until: string | null = null) {
    const interval = {
      since: since === null ? null : parseEdge(since),
      until: until === null ? null : parseEdge(until),
    }
    return { repository: made.repository, sourceName: 'icu', interval, signal: never() }
  }

  async function changesOf(table: string, ...edges: readonly (string | null)[]) {
    const items = await Array.fromAsync(readPast({ ...asked(...edges), question: wholeTable(table) }))
    return {
      events: items.flatMap((item) => (item.kind === 'event' ? [item.event] : [])),
      gaps: items.flatMap((item) => (item.kind === 'gap' ? [item.gap] : [])),
    }
  }

  test('of each table leads event by event from the first snapshot to the last', async () => {
    const [then, now] = [await readTrees(made.repository, first), await readTrees(made.repository, last)]
    for (const table of TABLES) {
      const names = first.tables.filter(({ name, partitionOf }) => name === table || partitionOf === table)
      const { events } = await changesOf(table)
      for (const { name } of names) {
        const own = events.filter((event) => event.table === name)
        const columns = last.tables.find((each) => each.name === name)!.columns.map((column) => column.name)
        const found = replayed(then[name]!, first.tables.find((each) => each.name === name)!, own, columns)
        expect([name, found.problems]).toEqual([name, []])
        expect([name, found.lines]).toEqual([name, now[name]])
      }
    }
  })

  test('says between what and what it lies where a table was closed, or is read at snapshots only', async () => {
    const closed = await changesOf('public.diagnosis')
    const coarse = await changesOf('public.device_log')

    const kinds = closed.events.map(({ kind, time, key }) => [kind, time.kind, key.at(-1)!.toString()])
    expect(kinds).toEqual([
      // In the order of the tree: nobody knows in which they came.
      ['insert', 'between', '9999'],
      ['update', 'between', '3'],
      ['delete', 'between', '4'],
      ['update', 'transaction', '5'],
    ])
    expect(closed.gaps.map(({ reason }) => reason)).toEqual(['columns came: extra'])
    expect(closed.events[1]!.changed).toEqual(['code'])
    expect(coarse.events.map(({ kind, time }) => [kind, time.kind])).toEqual([
      ['insert', 'between'],
      ['insert', 'between'],
    ])
    expect(coarse.gaps).toHaveLength(1)
  })

  test('tells a row that moved to another anchor while its table was closed as one change, as the record has it', async () => {
    const { events } = await changesOf('public.bed_use')
    const between = events.filter(({ time }) => time.kind === 'between')

    const told = between.map(({ kind, key, before }) => [
      key[0]!.toString(),
      kind,
      before!.line.toString().split('\t')[2],
    ])
    expect(told.sort()).toEqual([
      ['1', 'update', 'known'],
      ['2', 'update', 'known'],
      ['3', 'delete', 'known'],
      ['4', 'update', 'bed 4'],
      ['5', 'update', 'bed 5'],
      ['6', 'delete', 'bed 6'],
    ])
    for (const id of ['1', '2', '4', '5']) {
      const record = await readRecord(asked(), 'public.bed_use', [Buffer.from(id)])
      expect(record.events.map(lineOf)).toEqual(events.filter(({ key }) => `${key[0]}` === id).map(lineOf))
    }
  })

  test('of a record goes on over a change of its key, and back to the keys it had before (F21)', async () => {
    const told = await readRecord(asked(), 'public.drug', [Buffer.from('X3')])

    expect(told.events.map(({ kind, changed }) => [kind, changed.join()])).toEqual([
      ['update', 'label'],
      ['key', 'code,label'],
      ['insert', ''],
      ['update', 'label'],
      ['truncate', ''],
      ['insert', ''],
    ])
    expect(told.events[3]!.before!.line.toString()).toBe('X3\trenamed')
    expect(told.gaps).toEqual([])
  })

  test('behind a snapshot is what it lacks by visibility, and not by position (P3)', async () => {
    const { events } = await changesOf('public.drug', second.position.lsn)

    expect(events.map(({ kind }) => kind)).toEqual(['truncate', 'insert'])
  })

  test('of a record has every row before as the change before left it, also beyond a snapshot', async () => {
    const { events } = await readRecord(asked(), 'public.vital_sign', [Buffer.from('3')])

    expect(events.map(({ kind }) => kind)).toEqual(['update', 'update'])
    expect(events[1]!.before).toEqual(events[0]!.after)
  })

  test('of a record has its large value whole, though the change did not send it (F13)', async () => {
    const { events } = await readRecord(asked(), 'public.note', [Buffer.from('7'), Buffer.from('2026')])

    expect(events.map(({ kind, changed }) => [kind, changed])).toEqual([['update', ['stay_id']]])
    expect(events[0]!.before!.line.length).toBeGreaterThan(9_000)
    expect(events[0]!.after!.line.length).toBe(events[0]!.before!.line.length)
  })

  test('of a record needs a table and a key that there are, and says which', async () => {
    const key = (count: number) => Array.from({ length: count }, () => Buffer.from('1'))

    await expect(readRecord(asked(), 'public.note', key(1))).rejects.toMatchObject({
      code: 'bad-usage',
      hints: [expect.stringContaining('note_id year')],
    })
    await expect(readRecord(asked(), 'note', key(2))).rejects.toMatchObject({
      hints: [expect.stringContaining('public.note')],
    })
    await expect(readRecord(asked(), 'public.device_log', key(0))).rejects.toMatchObject({ code: 'bad-usage' })
  })

  test('of a patient has the rows of every stay that was theirs at some moment, and of no other', async () => {
    const { events } = await readPatient(asked(), Buffer.from('4'))

    const stays = events.filter(({ table }) => table === 'public.icu_stay')
    expect(stays.map(({ kind, key, changed }) => [kind, key[0]!.toString(), changed.join()])).toEqual([
      ['insert', '900', ''],
      ['update', '104', 'patient_id'],
      ['update', '104', 'patient_id'],
    ])
    await using client = await connectClient(url)
    const { rows } = await client.query(`SELECT id::text FROM vital_sign WHERE stay_id IN (103, 115, 900, 104)`)
    const theirs = new Set([...rows.map(({ id }) => id), '2', '26', '50'])
    const vitals = events.filter(({ table }) => table === 'public.vital_sign')
    expect(vitals.filter(({ key }) => !theirs.has(key[0]!.toString()))).toEqual([])
    expect(vitals.filter(({ kind }) => kind === 'insert')).toHaveLength(1)
    expect(vitals.filter(({ kind }) => kind === 'delete')).toHaveLength(3)
    expect(
      vitals.filter(({ kind, after }) => kind === 'update' && after!.line.toString().endsWith('\t1')),
    ).toHaveLength(2)
  })

  test("of a patient has what the log said of rows before they became theirs, unseen, and were somebody else's", async () => {
    const told = (events: readonly HistoryEvent[]) =>
      events
        .filter(({ table }) => table === 'public.bed_use')
        .map(({ kind, time, before, after }) => [kind, changeIdOf(time), `${before?.line}`, `${after?.line}`])
        .filter(([, , ...lines]) => lines.some((line) => line!.split('\t')[1] === '101'))
        .sort()
    const { events } = await readPatient(asked(), Buffer.from('2'))

    expect(told(events).map(([kind, , before]) => [kind, before])).toEqual([
      ['update', '1\t110\tknown'],
      ['update', '4\t110\tbed 4'],
    ])
    expect(told(events)).toEqual(told((await changesOf('public.bed_use')).events))
  })

  test('has its beginning and its end where they were asked for', async () => {
    const all = (await changesOf('public.vital_sign')).events
    const stamps = [...new Set(all.map(({ time }) => (time.kind === 'transaction' ? time.stamp.endLsn : 0n)))]
    expect(stamps.length).toBeGreaterThan(3)

    const part = (await changesOf('public.vital_sign', formatLsn(stamps[0]!), formatLsn(stamps[2]!))).events

    const within = (event: HistoryEvent) =>
      event.time.kind === 'transaction' && [stamps[1], stamps[2]].includes(event.time.stamp.endLsn)
    expect(part.map(lineOf)).toEqual(all.filter(within).map(lineOf))
    expect(part.length).toBeGreaterThan(0)
  })

  test('gives every change a name that is a target: the state just before it', async () => {
    const { events } = await changesOf('public.vital_sign')
    const change = events.find(({ kind }) => kind === 'delete')!
    const [between] = (await changesOf('public.device_log')).events

    const at = (id: string) => resolveTarget({ repository: made.repository, sourceName: 'icu', at: `before:${id}` })
    const target = await at(changeIdOf(change.time))
    const coarse = await at(changeIdOf(between!.time))

    expect(target.along?.bound).toBe(change.time.kind === 'transaction' && change.time.stamp.commitLsn)
    expect(target.remark).toBeNull()
    expect(coarse.base.snapshotId).toBe(between!.time.kind === 'between' && changeIdOf(between!.time).split('..')[0])
    expect(coarse.remark).toContain('older')
    await expect(at('00000000-0/1-1')).rejects.toMatchObject({ code: 'change-log-gap' })
    await expect(at(changeIdOf(change.time).replace(/\d+$/, '999999999'))).rejects.toMatchObject({
      code: 'change-log-gap',
    })
  })
})

function lineOf({ kind, before, after }: HistoryEvent): string {
  return `${kind} ${before?.line} ${after?.line}`
}
