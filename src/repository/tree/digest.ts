/**
 * What a root certifies (docs/FORMAT.md, "Digests").
 *
 *     salt          = HMAC-SHA-256(salt key, tree name ‖ 00 ‖ anchor's encoding)
 *     group digest  = SHA-256(00 ‖ salt ‖ lines with their newlines)       the rows of one anchor within one leaf
 *     leaf digest   = RFC 6962 root over its group digests
 *     node digest   = SHA-256(02 ‖ level ‖ number of children ‖ for each child: digest ‖ rows ‖ separator)
 *     separator     = HMAC-SHA-256(separator key, tree name ‖ 00 ‖ child's last key)
 *
 * Newlines and tabs cannot stand inside a field, so no two lists of rows give the same bytes (F6). The salt keeps a
 * published digest from being searched for a patient's values; the separator's HMAC keeps one patient's key out of
 * another's proof. xxHash cuts, and never certifies.
 */
import { createHash } from 'node:crypto'
import { DIGEST_BYTES, sha256 } from '../crypto/provider.ts'
import { merkleRoot } from '../ledger/merkle.ts'
import { HmacSha256 } from './hmac.ts'
import type { Rows } from './rows.ts'

export interface DigestKeys {
  readonly saltKey: Uint8Array
  readonly separatorKey: Uint8Array
}

export interface ChildSummary {
  readonly digest: Uint8Array
  readonly rows: number
  readonly lastKey: Uint8Array
}

const GROUP_PREFIX = Uint8Array.of(0x00)
const NODE_PREFIX = 0x02
/** Prefix, level, number of children. */
const NODE_HEAD_BYTES = 6
/** Digest, rows, separator. */
const NODE_CHILD_BYTES = 2 * DIGEST_BYTES + 8

/**
 * Digests of one tree. Keeps the last salt, because rows of one anchor lie together, and the separators of keys at hand:
 * a node of which one child is another has a hundred that are the same. Keys do not change once they were given.
 */
export class TreeDigester {
  readonly #saltHmac: HmacSha256
  readonly #separatorHmac: HmacSha256
  readonly #name: Buffer
  readonly #separators = new WeakMap<Uint8Array, Uint8Array>()
  #anchor: Buffer | null = null
  #salt: Uint8Array = new Uint8Array()

  constructor(keys: DigestKeys, treeName: string) {
    this.#saltHmac = new HmacSha256(keys.saltKey)
    this.#separatorHmac = new HmacSha256(keys.separatorKey)
    this.#name = Buffer.concat([Buffer.from(treeName), Buffer.of(0)])
  }

  salt(anchor: Buffer): Uint8Array {
    if (this.#anchor?.equals(anchor)) return this.#salt
    this.#anchor = Buffer.from(anchor)
    this.#salt = this.#saltHmac.digest(this.#name, anchor)
    return this.#salt
  }

  /** Of rows `[start, end)`, which must be sorted by key. */
  groupDigests(rows: Rows, start: number, end: number): Uint8Array[] {
    const digests: Uint8Array[] = []
    let groupStart = start
    for (let row = start + 1; row <= end; row += 1) {
      if (row < end && sameAnchor(rows, groupStart, row)) continue
      const keyAt = rows.keyStart[groupStart]!
      const salt = this.salt(rows.keys.subarray(keyAt, keyAt + rows.anchorBytes[groupStart]!))
      digests.push(groupDigest(salt, rows.text.subarray(rows.textStart[groupStart]!, rows.textStart[row]!)))
      groupStart = row
    }
    return digests
  }

  leafDigest(rows: Rows, start: number, end: number): Uint8Array {
    return merkleRoot(this.groupDigests(rows, start, end))
  }

  nodeDigest(level: number, children: readonly ChildSummary[]): Uint8Array {
    const bytes = Buffer.allocUnsafe(NODE_HEAD_BYTES + children.length * NODE_CHILD_BYTES)
    bytes[0] = NODE_PREFIX
    bytes[1] = level
    bytes.writeUInt32LE(children.length, 2)
    let at = NODE_HEAD_BYTES
    for (const child of children) {
      bytes.set(child.digest, at)
      bytes.writeBigUInt64LE(BigInt(child.rows), at + DIGEST_BYTES)
      bytes.set(this.#separator(child.lastKey), at + DIGEST_BYTES + 8)
      at += NODE_CHILD_BYTES
    }
    return sha256(bytes)
  }

  #separator(key: Uint8Array): Uint8Array {
    const known = this.#separators.get(key)
    if (known) return known
    const separator = this.#separatorHmac.digest(this.#name, key)
    this.#separators.set(key, separator)
    return separator
  }
}

/** `lines` are one anchor's rows, each with its newline. */
function groupDigest(salt: Uint8Array, lines: Uint8Array): Uint8Array {
  if (lines.length <= 1024) return sha256(Buffer.concat([GROUP_PREFIX, salt, lines]))
  return Uint8Array.from(createHash('sha256').update(GROUP_PREFIX).update(salt).update(lines).digest())
}

function sameAnchor(rows: Rows, a: number, b: number): boolean {
  const length = rows.anchorBytes[a]!
  if (rows.anchorBytes[b] !== length) return false
  const startA = rows.keyStart[a]!
  const startB = rows.keyStart[b]!
  return rows.keys.compare(rows.keys, startA, startA + length, startB, startB + length) === 0
}
