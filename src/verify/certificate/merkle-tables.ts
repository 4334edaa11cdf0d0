/** The tables of a certificate as leaves of one tree: its root stands for all of them, a short path for one. */
import { canonicalBytes } from '../../repository/canonical-json.ts'
import { leafHash, merkleRoot } from '../../repository/ledger/merkle.ts'
import { inclusionProof } from '../../repository/ledger/proof.ts'
import type { TableFacts } from './document.ts'

export interface LeafPath {
  readonly index: number
  readonly size: number
  /** Hex, the lowest first. */
  readonly path: readonly string[]
}

/** Hex. */
export function tablesRoot(tables: readonly TableFacts[]): string {
  return hexOf(merkleRoot(leavesOf(tables)))
}

export function tablePath(tables: readonly TableFacts[], index: number): LeafPath {
  const leaves = leavesOf(tables)
  return { index, size: leaves.length, path: inclusionProof(leaves, index, leaves.length).map(hexOf) }
}

function leavesOf(tables: readonly TableFacts[]): Uint8Array[] {
  return tables.map((table) => leafHash(canonicalBytes(table)))
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
