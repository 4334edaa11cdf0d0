/** Which patient a pseudonym stands for: found by looking through the patients that a snapshot holds. */
import type { Repository } from '../repository/repository.ts'
import { tableSpec } from '../repository/table-spec.ts'
import { encodeKey } from '../repository/tree/key.ts'
import { rowText } from '../repository/tree/rows.ts'
import { TreeReader } from '../repository/tree/tree-reader.ts'

export interface ResolvedPatient {
  readonly snapshot: string
  /** The patient's key, as it stands in the row. */
  readonly key: string
  /** The columns by which people know the patient. */
  readonly label: Readonly<Record<string, string>>
}

/**
 * Looks through snapshots from the newest to the oldest, so that a patient who is gone is found as well; null when no
 * snapshot has such a patient.
 */
export async function resolvePseudonym(repository: Repository, pseudonym: string): Promise<ResolvedPatient | null> {
  for (const snapshotId of (await repository.snapshotIds()).toReversed()) {
    const found = await findIn(repository, snapshotId, pseudonym)
    if (found) return found
  }
  return null
}

async function findIn(repository: Repository, snapshotId: string, pseudonym: string): Promise<ResolvedPatient | null> {
  const { manifest } = await repository.readManifest(snapshotId)
  const { patient } = manifest
  const table = manifest.tables.find((candidate) => candidate.name === patient?.table)
  if (!patient || !table) return null
  const column = (name: string) => table.columns.findIndex((candidate) => candidate.name === name)
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  for await (const rows of reader.leaves(table.rows)) {
    for (let row = 0; row < rows.count; row += 1) {
      const fields = rowText(rows, row).toString('utf8').trimEnd().split('\t')
      const key = fields[column(patient.key)] ?? ''
      if (repository.keyring.pseudonym(encodeKey([Buffer.from(key)])) !== pseudonym) continue
      const label = Object.fromEntries(patient.label.map((name) => [name, fields[column(name)] ?? '']))
      return { snapshot: snapshotId, key, label }
    }
  }
  return null
}
