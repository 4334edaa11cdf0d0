/** The past of one record, or of one patient, in full: read again as long as more turns out to belong to it. */
import { assert, Failure } from '../../errors.ts'
import type { Manifest, TableManifest } from '../manifest.ts'
import type { Repository } from '../repository.ts'
import { KeptSnapshots } from '../state/kept-snapshots.ts'
import type { HistoryEvent, HistoryGap } from './event.ts'
import { type PastRequest, readPast } from './past.ts'
import { PatientQuestion } from './patient-question.ts'
import { RecordQuestion } from './record-question.ts'

export type AskedPast = Omit<PastRequest, 'question'>

export interface WholePast {
  readonly events: readonly HistoryEvent[]
  readonly gaps: readonly HistoryGap[]
}

/** A change of key, or a stay that comes to light, makes one reading more; a row has had so many keys at the most. */
const READINGS_MAX = 100

/**
 * @param key fields of the primary key as they stand in a line, in its order
 * @throws bad-usage when the table has no key, or another number of key columns; as `readPast`
 */
export async function readRecord(asked: AskedPast, table: string, key: readonly Buffer[]): Promise<WholePast> {
  const { primaryKey } = await tableOf(asked.repository, asked.sourceName, table)
  if (primaryKey.length !== key.length) {
    throw new Failure(
      'bad-usage',
      `the key of ${table} has ${primaryKey.length} columns, and ${key.length} were given`,
      {
        hints: [`Give them in this order: ${primaryKey.join(' ')}.`],
      },
    )
  }
  return await readWhole(asked, new RecordQuestion(table, key))
}

/**
 * Over all tables whose anchors lead to the patient.
 * @param patient the patient's key as a field of a line
 * @throws bad-configuration when the source has no patients; as `readPast`
 */
export async function readPatient(asked: AskedPast, patient: Buffer): Promise<WholePast> {
  const snapshots = await KeptSnapshots.list(asked.repository, asked.sourceName)
  if (!(await snapshots.newest()).patient) {
    const message = `source ${asked.sourceName} has no patient table in its configuration`
    throw new Failure('bad-configuration', message, {
      hints: ['Give `patient` and `anchors`, then run `chartkeep backup`.'],
    })
  }
  return await readWhole(asked, new PatientQuestion(patient))
}

/** The newest that is kept of this name; of a partitioned table, one of its leaves. @throws bad-usage, snapshot-not-found */
export async function tableOf(repository: Repository, sourceName: string, name: string): Promise<TableManifest> {
  const snapshots = await KeptSnapshots.list(repository, sourceName)
  const tables: string[] = []
  for await (const { manifest } of snapshots.newestFirst()) {
    const found = manifest.tables.find((table) => table.name === name || table.partitionOf === name)
    if (found) return found
    if (tables.length === 0) tables.push(...similar(manifest, name))
  }
  throw new Failure('bad-usage', `no snapshot of ${sourceName} has a table ${name}`, {
    hints: [tables.length > 0 ? `Did you mean ${tables.join(' or ')}?` : '`chartkeep show` lists the tables.'],
  })
}

async function readWhole(asked: AskedPast, question: RecordQuestion | PatientQuestion): Promise<WholePast> {
  for (let reading = 1; ; reading += 1) {
    assert(reading <= READINGS_MAX, `what belongs together is found in ${READINGS_MAX} readings`)
    question.begin()
    const events: HistoryEvent[] = []
    const gaps: HistoryGap[] = []
    for await (const item of readPast({ ...asked, question })) {
      if (item.kind === 'event') events.push(item.event)
      else gaps.push(item.gap)
    }
    if (!question.hasGrown && !question.isLate) return { events, gaps }
  }
}

function similar({ tables }: Manifest, name: string): string[] {
  return [...new Set(tables.flatMap((table) => [table.partitionOf ?? table.name]))].filter((each) =>
    each.endsWith(`.${name}`),
  )
}
