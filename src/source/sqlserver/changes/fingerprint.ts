/**
 * What the rows of a table hang on besides the changes that CDC tells (P2): its definition, what holds its rows, and the
 * instance that tells of it.
 *
 * `modify_date` changes with every ALTER TABLE, also with SWITCH, which moves rows and is not captured; what holds the
 * rows (their heap or B-tree) is another after it. Both change when an index is built anew, too: the table then has no
 * points in time until the next backup, which is the careful side. TRUNCATE is refused by the server on such a table. Of
 * an instance its change table counts, for its name can be given again; where its data begins does not count, for clean-up
 * moves that on. Reseeding an identity changes no row: numbers that are given twice are rows one after another, and both
 * are told.
 */
import { createHash } from 'node:crypto'
import type { CatalogFingerprint } from '../../change-contract.ts'
import { behind } from './lsn.ts'
import type { CdcSetting } from './plan.ts'
import { readSetting } from './plan.ts'
import type { CaptureInstance, CdcQuestions, CdcTable } from './questions.ts'

export async function readFingerprint(questions: CdcQuestions): Promise<CatalogFingerprint> {
  // The time first, then the position: whatever is stamped or commits later may already be under another definition.
  const timeUs = await questions.nowUs()
  const captured = await questions.captured()
  const setting = await readSetting(questions)
  return { ...digestOf(setting), lsn: captured === null ? 0n : behind(captured), timeUs }
}

function digestOf(setting: CdcSetting): Pick<CatalogFingerprint, 'digest' | 'tables'> {
  const tables = new Map(setting.tables.map((table) => [table.table.info.name, tableDigest(setting, table)] as const))
  const all = createHash('sha256')
  for (const name of [...tables.keys()].sort()) all.update(`${name}\t${tables.get(name)}\n`)
  return { digest: all.digest('hex'), tables }
}

function tableDigest({ facts, instances }: CdcSetting, { table, created, modified, storage, isPartitioned }: CdcTable) {
  const { oid, primaryKey } = table.info
  const own = instances
    .filter(({ sourceTable }) => sourceTable === oid)
    .map(instanceParts)
    .sort()
  const parts = [oid, created, modified, storage, isPartitioned, table.columns, primaryKey, facts.collation, own]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

function instanceParts({ name, changeTable, created, low, columns, allowsSwitch, hasCommandId }: CaptureInstance) {
  return JSON.stringify([name, changeTable, created, low !== null, columns, allowsSwitch, hasCommandId])
}
