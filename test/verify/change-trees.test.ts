/** The trees of changes and of transactions that a snapshot has beside its rows are looked at like all others. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { packKey } from '../../src/repository/layout.ts'
import type { Repository } from '../../src/repository/repository.ts'
import type { TreeRoot } from '../../src/repository/tree/tree-root.ts'
import { checkRepository } from '../../src/verify/check.ts'
import { scrubRepository } from '../../src/verify/scrub.ts'
import { scrubPack } from '../../src/verify/scrub-pack.ts'
import { logStart, writeLog } from '../support/change-log.ts'
import { type ForgedTable, forgeSnapshot, memoryRepository } from '../support/forge.ts'
import type { MemoryStore } from '../support/memory-store.ts'

const SIGNS: ForgedTable = {
  name: 'public.vital_sign',
  columns: ['id', 'patient_id', 'value'],
  primaryKey: ['id'],
  anchor: 'patient_id',
  anchorPath: ['public.vital_sign.patient_id', 'public.patient.patient_id'],
  lines: Array.from({ length: 60 }, (_, row) => `${row + 1}\t${1 + Math.floor(row / 10)}\t36.6`),
  // Anchor, number, transaction, kind, then the row.
  changeLines: Array.from(
    { length: 40 },
    (_, row) => `${1 + Math.floor(row / 10)}\t${row}\t${row % 7}\tU\t${row + 1}\t1\t37.0`,
  ),
}
const PATIENTS: ForgedTable = {
  name: 'public.patient',
  columns: ['patient_id', 'name'],
  primaryKey: ['patient_id'],
  anchor: 'patient_id',
  anchorPath: ['public.patient.patient_id', 'public.patient.patient_id'],
  lines: Array.from({ length: 6 }, (_, row) => `${row + 1}\tname`),
}
const TRANSACTIONS = Array.from(
  { length: 7 },
  (_, number) =>
    `${number}\t${800 + number}\t0/4${number}0\t0/4${number}8\t2026-01-01T00:00:00.00000${number}Z\t\\N\t6`,
)

interface Bench {
  readonly repository: Repository
  readonly store: MemoryStore
  readonly changes: TreeRoot
  readonly transactions: TreeRoot
}

async function bench(signs: ForgedTable = SIGNS): Promise<Bench> {
  const { repository, store } = await memoryRepository()
  const { start } = await writeLog(repository, [])
  expect(start.sourceName).toBe(logStart().sourceName)
  const log = { logId: start.logId, scanFrom: '0/3E8', scanSegment: 0, head: null, transactions: null }
  const { snapshotId } = await forgeSnapshot(repository, [PATIENTS, signs], { log, transactionLines: TRANSACTIONS })
  const { manifest } = await repository.readManifest(snapshotId)
  const table = manifest.tables.find(({ name }) => name === signs.name)
  return { repository, store, changes: table!.changes!, transactions: manifest.log!.transactions! }
}

async function scrub(repository: Repository) {
  return await scrubRepository({
    repository,
    signal: new AbortController().signal,
    nowMs: () => 0,
    random: randomBytes,
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
  })
}

/** Flips a bit of a chunk. */
function damage(store: MemoryStore, root: TreeRoot, at = root.offset): void {
  const bytes = store.objects.get(packKey(root.pack))!
  bytes[at + 3]! ^= 1
}

describe('the trees of changes and of transactions', () => {
  test('are passed as they are, and counted', async () => {
    const { repository } = await bench()
    // Rows and changes of one, rows of the other, locator of the first, transactions.
    expect(await scrub(repository)).toMatchObject({ status: 'passed', findings: [], looked: { trees: 5 } })
  })

  test('of changes: a damaged node fails the check and names table, snapshot and patients', async () => {
    const { repository, store, changes } = await bench()
    damage(store, changes)
    const { status, findings } = await checkRepository({
      repository,
      signal: new AbortController().signal,
      nowMs: () => 0,
    })
    expect(status).toBe('failed')
    expect(findings).toMatchObject([
      { kind: 'node-damaged', tables: ['public.vital_sign'], rows: 0, patientsComplete: false },
    ])
    expect(findings[0]?.patients).toHaveLength(6)
    expect(findings[0]?.snapshots).toHaveLength(1)
  })

  test('of changes: a damaged leaf fails the scrub', async () => {
    const { repository, store, changes } = await bench()
    // The leaf was written before the node above it.
    damage(store, changes, changes.offset - 60)
    expect((await checkRepository({ repository, signal: new AbortController().signal, nowMs: () => 0 })).status).toBe(
      'passed',
    )
    expect((await scrub(repository)).findings).toMatchObject([{ tables: ['public.vital_sign'] }])
  })

  test('of changes: a row out of its place is found by the scrub', async () => {
    const lines = [...SIGNS.changeLines!]
    ;[lines[3], lines[4]] = [lines[4]!, lines[3]!]
    const { repository } = await bench({ ...SIGNS, changeLines: lines })
    expect((await scrub(repository)).findings).toMatchObject([{ kind: 'leaf-rows' }])
  })

  test('of transactions: damage names the snapshot, and no table', async () => {
    const { repository, store, transactions } = await bench()
    damage(store, transactions)
    const { status, findings } = await scrub(repository)
    expect(status).toBe('failed')
    expect(findings).toMatchObject([{ kind: 'node-damaged', tables: [], patients: [] }])
    expect(findings[0]?.snapshots).toHaveLength(1)
  })
})
