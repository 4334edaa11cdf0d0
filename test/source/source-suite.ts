/**
 * What every source and target promise, whatever database they are: `describeSource` runs over each of them.
 *
 * A kind of database brings a `SourceBench`: two empty databases of one server, and statements in its own dialect.
 */
import { describe, expect, it } from 'vitest'
import { Failure } from '../../src/errors.ts'
import type { ConnectionSettings, DdlStep, TableTicket } from '../../src/source/contract.ts'
import { loadTable, openSource, openTarget, readTable } from '../../src/source/open.ts'

export interface SourceBench {
  /** Settings of a new, empty database. */
  createDatabase(): Promise<ConnectionSettings>
  /** As its owner. */
  run(settings: ConnectionSettings, sql: string): Promise<void>
  /** A table `ward.patient (id, name)` with a primary key, and one `ward.note` that points to it; 1000 rows each. */
  readonly example: string
  /** Adds a patient and a note. */
  readonly addRows: string
}

const PHASES: readonly DdlStep['phase'][] = ['before-rows', 'key-or-index', 'attach', 'foreign-key', 'after']
const TABLES = ['ward.note', 'ward.patient']
const unhurried = { lockTimeoutMs: 5000, signal: new AbortController().signal }

export function describeSource(title: string, bench: () => SourceBench): void {
  describe(title, () => {
    it('names every table once, in order, with its key and its links', async () => {
      const settings = await filled()
      await using source = await openSource(settings)
      const { tables } = await source.introspect()
      expect(tables.map((table) => table.name)).toEqual(TABLES)
      expect(tables[1]?.primaryKey).toEqual(['id'])
      expect(tables[0]?.foreignKeys).toMatchObject([{ references: 'ward.patient', referencedColumns: ['id'] }])
    })

    it('reads all tables as of one position, whatever is committed afterwards', async () => {
      const settings = await filled()
      await using source = await openSource(settings)
      await using read = await source.openRead({ tables: TABLES, ...unhurried })
      await bench().run(settings, bench().addRows)
      for (const table of read.tableTickets) expect(countLines(await lines(read.ticket, table))).toBe(1000)
      await using later = await source.openRead({ tables: TABLES, ...unhurried })
      expect(later.position.visible).not.toBe(read.position.visible)
      for (const table of later.tableTickets) expect(countLines(await lines(later.ticket, table))).toBe(1001)
    })

    it('gives a rebuilt database the rows it was read from', async () => {
      const settings = await filled()
      const target = await bench().createDatabase()
      await using source = await openSource(settings)
      await using read = await source.openRead({ tables: TABLES, ...unhurried })
      const { steps } = await read.readDdl()
      await using rebuilt = await openTarget(target)
      await rebuilt.assertUsable(read.identity)
      await rebuilt.runSteps(steps.filter((step) => step.phase === 'before-rows'))
      for (const table of read.tableTickets) {
        const loading = { ...table, encoding: read.ticket.encoding }
        const rows = readTable(read.ticket, table, unhurried.signal)
        expect(await loadTable(target, loading, rows, unhurried.signal)).toBe(1000)
      }
      for (const phase of PHASES.slice(1)) await rebuilt.runSteps(steps.filter((step) => step.phase === phase))
      await rebuilt.setSequences(read.schema.sequences)
      await rebuilt.refreshViews()
      await rebuilt.gatherStatistics()
      await using copy = await openSource(target)
      await using again = await copy.openRead({ tables: TABLES, ...unhurried })
      for (const [index, table] of read.tableTickets.entries()) {
        const before = await lines(read.ticket, table)
        expect(await lines(again.ticket, again.tableTickets[index] as TableTicket)).toEqual(before)
      }
    })

    it('refuses a target that is the source, and one that holds anything', async () => {
      const settings = await filled()
      const other = await filled()
      await using source = await openSource(settings)
      const identity = await source.identify()
      await using itself = await openTarget(settings)
      await expect(itself.assertUsable(identity)).rejects.toMatchObject({ code: 'target-is-source' })
      await using full = await openTarget(other)
      await expect(full.assertUsable(identity)).rejects.toMatchObject({ code: 'target-not-empty' })
    })

    it('refuses to be rebuilt from another kind of database, by both names', async () => {
      await using target = await openTarget(await bench().createDatabase())
      const own = await target.identify()
      const engine = own.engine === 'postgresql' ? 'sqlserver' : 'postgresql'
      const refused = target.assertUsable({ ...own, engine, systemId: 'another', databaseName: 'icu' })
      await expect(refused).rejects.toMatchObject({
        code: 'target-failed',
        message: expect.stringContaining(`the snapshot is of ${engine}, the target is `),
      })
    })

    it('names a table that the source does not have', async () => {
      await using source = await openSource(await filled())
      const failure = await source.openRead({ tables: ['ward.nobody'], ...unhurried }).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failure).toBeInstanceOf(Failure)
      expect(failure).toMatchObject({ code: 'object-missing-in-source' })
      expect(String(failure)).toContain('ward.nobody')
    })

    it('leaves nothing behind of steps that fail', async () => {
      const target = await bench().createDatabase()
      await using source = await openSource(await filled())
      await using rebuilt = await openTarget(target)
      const identity = await source.identify()
      const steps: DdlStep[] = [
        { phase: 'before-rows', object: 'SCHEMA half', sql: 'CREATE SCHEMA half' },
        { phase: 'before-rows', object: 'NONSENSE', sql: 'CREATE NONSENSE' },
      ]
      await expect(rebuilt.runSteps(steps)).rejects.toMatchObject({ code: 'target-failed' })
      await expect(rebuilt.assertUsable(identity)).resolves.toBeUndefined()
    })

    it('ends a read whose signal fires, with the signal’s own reason', async () => {
      await using source = await openSource(await filled())
      const reason = new Error('enough')
      await expect(
        source.openRead({ tables: TABLES, lockTimeoutMs: 5000, signal: AbortSignal.abort(reason) }),
      ).rejects.toBe(reason)
      await using read = await source.openRead({ tables: TABLES, ...unhurried })
      const stop = new AbortController()
      const reading = async () => {
        for await (const _ of readTable(read.ticket, read.tableTickets[0] as TableTicket, stop.signal))
          stop.abort(reason)
      }
      await expect(reading()).rejects.toBe(reason)
    })

    async function filled(): Promise<ConnectionSettings> {
      const settings = await bench().createDatabase()
      await bench().run(settings, bench().example)
      return settings
    }
  })
}

async function lines(ticket: Parameters<typeof readTable>[0], table: TableTicket): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readTable(ticket, table, unhurried.signal)) chunks.push(Uint8Array.from(chunk))
  return Buffer.concat(chunks)
}

function countLines(bytes: Buffer): number {
  return bytes.toString('latin1').split('\n').length - 1
}
