/** What the service makes of a snapshot: a snapshot that finds something wrong with those before it is an alarm, and no failure to take one. */
import { describe, expect, it } from 'vitest'
import { PACK_PREFIX } from '../../../src/repository/layout.ts'
import { resultOf } from '../../../src/service/kinds/snapshot.ts'
import { fakeWard } from '../../support/fake-ward.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { copyOf, makeSimRepository, simBackup } from '../../support/sim-repository.ts'

const DAY_MS = 86_400_000
const tables = fakeWard({ vitals: 100, edition: 1 })
const memory = new MemoryStore()
const made = await makeSimRepository(memory)
const first = await simBackup({ repository: made.over(memory), tables, atMs: DAY_MS })

describe('a snapshot of the service', () => {
  it('is done, and says its mode (F30)', () => {
    const result = resultOf(first)

    expect(result).toMatchObject({ verdict: 'done', made: first.snapshot, findings: [], findingCount: 0 })
    expect(result.remarks).toEqual([`base: ${first.modeReason}`])
  })

  it('has found damage where it stored again what the one before had lost', async () => {
    const store = copyOf(memory)
    for (const key of memory.objects.keys()) if (key.startsWith(PACK_PREFIX)) store.objects.delete(key)

    const report = await simBackup({ repository: made.over(store), tables, atMs: 2 * DAY_MS })
    const result = resultOf(report)

    expect(report.tablesHealed.length).toBeGreaterThan(0)
    expect(result).toMatchObject({ verdict: 'failed', made: report.snapshot, findingCount: 1 })
    expect(result.findings).toMatchObject([
      { kind: 'earlier-snapshots-damaged', tables: report.tablesHealed, snapshots: [] },
    ])
  })

  it('has found changes left out where the database did not tell them: what is stored is not damaged, and no check would find it', () => {
    const since = '2026-01-02T00:00:00.000000Z'
    const result = resultOf({ ...first, changesLeftOut: [{ table: 'dbo.vital', since }] })

    expect(result).toMatchObject({ verdict: 'failed', findingCount: 1 })
    expect(result.findings).toMatchObject([{ kind: 'changes-left-out', severity: 'error', tables: ['dbo.vital'] }])
    expect(result.findings[0]?.message).toContain(since)
  })
})
