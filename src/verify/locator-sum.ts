/**
 * Does a table's locator name every row and its anchor, and nothing else? Both are trees of their own, proved by their
 * digests; that one follows from the other is seen by a sum: of a keyed hash of every locator line, once as the rows
 * give it and once as the locator holds it, modulo 2^64. A sum does not depend on the order, and those of leaves
 * that snapshots share are computed once, so that a hundred snapshots cost what one costs.
 *
 * The hash is xxHash64 under a secret seed. It certifies no row (SHA-256 has done that): it compares two derivations
 * of our own, and equal shifts of many rows do not cancel in it as they do in a checksum of values (F5).
 */
import xxhash from 'xxhash-wasm'
import { LocatorLines } from '../repository/build/locator-lines.ts'
import type { OpenedLeaf } from '../repository/kernel/opened-leaf.ts'
import type { Rows } from '../repository/tree/rows.ts'
import type { LeafForm } from './leaf-expectations.ts'

const NEWLINE = 0x0a
/** So that the sum's hash is not the one that cuts leaves. */
const SEED_OFFSET = 0x6c6f_6361_746f_7273n

const api = await xxhash()

export function locatorSum(form: LeafForm, rows: Rows, cutSeed: bigint): bigint {
  if (form.summed === null) return 0n
  const lines = form.summed === 'own' ? rows.text : new LocatorLines(form.spec).derive(rows.text)
  const seed = sumSeed(cutSeed)
  let sum = 0n
  let start = 0
  for (let end = lines.indexOf(NEWLINE); end >= 0; end = lines.indexOf(NEWLINE, start)) {
    sum += api.h64Raw(lines.subarray(start, end), seed)
    start = end + 1
  }
  return BigInt.asUintN(64, sum)
}

/** The same of a leaf that the kernel has opened. */
export function openedLocatorSum(form: LeafForm, leaf: OpenedLeaf, cutSeed: bigint): bigint {
  return form.summed === null ? 0n : leaf.sum(form.summed, sumSeed(cutSeed))
}

function sumSeed(cutSeed: bigint): bigint {
  return BigInt.asUintN(64, cutSeed + SEED_OFFSET)
}
