/**
 * That baseline and end are entries of the ledger, and that the ledger at the end goes on from the ledger at the baseline:
 * for somebody who has nothing but these files, and perhaps a checkpoint of his own.
 */

import { Failure } from '../../errors.ts'
import type { Ledger } from '../../repository/ledger/log.ts'
import { subtreeRoot } from '../../repository/ledger/merkle.ts'
import { consistencyProof, inclusionProof } from '../../repository/ledger/proof.ts'
import { hexOf } from './merkle-tables.ts'

export interface LedgerProof {
  readonly index: number
  readonly size: number
  /** The entry's bytes: canonical JSON, as text. */
  readonly entry: string
  readonly path: readonly string[]
}

export interface ConsistencyProof {
  readonly first: number
  readonly second: number
  readonly firstRoot: string
  readonly secondRoot: string
  readonly path: readonly string[]
}

/** @throws repository-damaged when the ledger does not hold this very manifest */
export function ledgerProof(ledger: Ledger, snapshotId: string, manifestSha256: string, size: number): LedgerProof {
  const index = ledger.entries.findIndex(
    ({ entry }) => entry.snapshot === snapshotId && entry.manifest === manifestSha256,
  )
  if (index < 0 || index >= size) {
    throw new Failure('repository-damaged', `the ledger does not hold snapshot ${snapshotId} as it is now`, {
      hints: ['Run `chartkeep check`: no certificate is issued about what the ledger does not know.'],
    })
  }
  const leaves = ledger.entries.map(({ leafHash }) => leafHash)
  return {
    index,
    size,
    entry: Buffer.from(ledger.entries[index]!.bytes).toString('utf8'),
    path: inclusionProof(leaves, index, size).map(hexOf),
  }
}

/** From the ledger that had `first` entries to the one that has `second`. */
export function growthProof(ledger: Ledger, first: number, second: number): ConsistencyProof {
  const leaves = ledger.entries.map(({ leafHash }) => leafHash)
  return {
    first,
    second,
    firstRoot: hexOf(subtreeRoot(leaves, 0, first)),
    secondRoot: hexOf(subtreeRoot(leaves, 0, second)),
    path: consistencyProof(leaves, first, second).map(hexOf),
  }
}
