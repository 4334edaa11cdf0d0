/**
 * Capture and backups of a SQL Server, from the change tables to the trees: real sessions, segments, folding and
 * hand-over, over the model of `cdc-model.ts`. The roots are held against those of a full read of the same rows.
 */
import { describe, expect, it } from 'vitest'
import { TABLES, Ward } from './captured-ward.ts'
import type { CdcModel } from './cdc-model.ts'

describe('a backup beside the capture of a SQL Server', () => {
  it('stands in the log, and is carried on by what changed, again and again', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    expect(await ward.backUp()).toMatchObject({ mode: 'base', log: expect.anything() })

    for (const id of ['a', 'b', 'c']) {
      ward.vital(`${id}1`, `${id}2`)
      ward.model.commit(
        { kind: 'update', table: 'dbo.vital', id: `${id}1`, value: '2' },
        { kind: 'rekey', table: 'dbo.vital', id: `${id}2`, to: `${id}3` },
        { kind: 'delete', table: 'dbo.vital', id: `${id}3` },
      )
      const report = await ward.backUp()
      expect(report).toMatchObject({ mode: 'incremental', tablesRead: 0, tablesFolded: 2 })
      const manifest = await ward.expectRows(report)
      expect(manifest.position.visible).toMatch(/^(\d+):\1:$/)
    }
    expect(await session.stop()).toBe('stopped')
  })

  it('leaves what a snapshot did not see yet to the changes behind it (P3)', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    // Another instance, so that the table is read, and what the read does not see has to come from the log.
    ward.model.disable('dbo.vital')
    ward.model.enable('dbo.vital')
    ward.vital('7')
    expect(await session.ended).toBe('tables-changed')
    const next = ward.start()
    await next.connected()
    ward.commitsUnseen = () => {
      ward.vital(String(ward.model.log.length))
      ward.model.commit({ kind: 'update', table: 'dbo.patient', id: '1', value: `p${ward.model.log.length}` })
    }

    expect(await ward.backUp()).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 1 })
    ward.commitsUnseen = () => {}

    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'incremental', tablesRead: 0 })
    await ward.expectRows(report)
    await next.stop()
  })

  it('goes on where it was after a pause, and sends nothing twice', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    ward.vital('1')
    await session.stop()
    ward.vital('2', '3')
    const next = ward.start()
    await next.connected()

    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'incremental', changes: 3 })
    await ward.expectRows(report)
    expect(await ward.logs()).toHaveLength(1)
    await next.stop()
  })

  it.each([
    ['clean-up has overtaken it (F14)', (model: CdcModel) => model.cleanUp(1), /clean-up has removed changes/],
    ['the database was put back (P5)', (model: CdcModel) => putBack(model), /before the log's end/],
  ])('declares the gap and reads everything when %s', async (_, happens, reason) => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    for (const id of ['1', '2', '3']) ward.vital(id)
    await ward.backUp()
    await session.stop()
    for (const id of ['4', '5', '6']) ward.vital(id)
    happens(ward.model)
    const next = ward.start()
    await next.connected()
    const logs = await ward.logs()
    expect(logs).toHaveLength(2)
    expect(logs[1]!.previousLog?.reason).toMatch(reason)

    const report = await ward.backUp()
    expect(report.tablesFolded).toBe(0)
    await ward.expectRows(report)
    ward.vital('9')
    const after = await ward.backUp()
    expect(after.mode).toBe('incremental')
    await ward.expectRows(after)
    await next.stop()
  })

  it('reads a table whose instance was replaced, and goes on folding it (F9)', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    ward.model.disable('dbo.vital')
    ward.vital('4')
    ward.model.enable('dbo.vital')
    ward.model.commit({ kind: 'update', table: 'dbo.patient', id: '1', value: 'renamed' })
    expect(await session.ended).toBe('tables-changed')
    const next = ward.start()
    await next.connected()

    const reread = await ward.backUp()
    expect(reread).toMatchObject({ mode: 'incremental', tablesRead: 1, tablesFolded: 1 })
    await ward.expectRows(reread)
    ward.vital('5')
    const folded = await ward.backUp()
    expect(folded).toMatchObject({ mode: 'incremental', tablesRead: 0, tablesFolded: 2 })
    await ward.expectRows(folded)
    await next.stop()
  })

  it('reads everything while the capture job stands still, and says why (F9)', async () => {
    const ward = await Ward.make()
    const session = ward.start()
    await session.connected()
    await ward.backUp()
    ward.model.captures = false
    ward.vital('4')

    const report = await ward.backUp()
    expect(report).toMatchObject({ mode: 'full-read', log: null, modeReason: expect.stringContaining('capture job') })
    await ward.expectRows(report)
    await session.stop().catch(() => {})
  })
})

/** To where it was when it had the patients only; then other rows are written. */
function putBack(model: CdcModel): void {
  model.restore(4, () => {
    model.rows = model.seenBy(() => true)
    for (const table of TABLES) if (!model.rows.has(table)) model.rows.set(table, new Map())
    for (const id of ['x', 'y', 'z', 'u', 'v', 'w', 'q']) {
      model.commit({ kind: 'insert', table: 'dbo.vital', id, value: '1' })
    }
  })
}
