/**
 * Which tables the stream tells everything of, and since when.
 *
 * A table is covered while its changes are in the stream and its catalog fingerprint stays what it was (P2, P7). The
 * fingerprints that a segment carries are those of the covered tables and of no other: a table that is taken into the
 * publication, or left out of the configuration, comes and goes as a difference, like a table whose definition changed.
 */
import { canonicalBytes } from '../../repository/canonical-json.ts'
import { sha256 } from '../../repository/crypto/provider.ts'
import type { CapturePlan, CatalogFingerprint } from '../../source/change-contract.ts'

export interface Coverage {
  /** Over `tables`, hex. */
  readonly digest: string
  /** See `CatalogFingerprint`. */
  readonly lsn: bigint
  readonly timeUs: bigint | null
  /** Covered tables by `TableInfo.name`: hex digests. */
  readonly tables: ReadonlyMap<string, string>
}

/** @param fingerprint of the whole database */
export function coverageOf(plan: CapturePlan, { tables: found, lsn, timeUs }: CatalogFingerprint): Coverage {
  const tables = new Map<string, string>()
  for (const { table, resolution } of plan.tables) {
    const digest = found.get(table)
    // Dropped between the plan and the fingerprint: it is not there, and so it is not covered.
    if (resolution === 'transaction' && digest !== undefined) tables.set(table, digest)
  }
  const pairs = [...tables].sort(([a], [b]) => (a < b ? -1 : 1))
  return { digest: Buffer.from(sha256(canonicalBytes(pairs))).toString('hex'), lsn, timeUs, tables }
}
