/**
 * An inner node: its children in key order, and where each lies. Places are in the parent, not in a global index, so
 * that one patient's rows are found by reading one path, whatever the size of the repository (docs/decisions/0001).
 *
 *     level · varint children · varint packs · pack ids (16 bytes each)
 *     for each child: digest (32) · varint rows · varint text bytes · varint shared · varint rest · the key's rest
 *                     varint pack number · varint offset · varint stored bytes
 *
 * `shared` is how many leading bytes the key has in common with the one before. Level 1 has leaves for children.
 */
import { DIGEST_BYTES } from '../crypto/provider.ts'
import { ByteReader, ByteWriter } from './varint.ts'

export const PACK_ID_BYTES = 16
/** Keys share prefixes, so that a few bytes may stand for many: bounds what a damaged node can make us allocate. */
const CHILDREN_MAX = 512

/** Where a chunk lies. */
export interface ChunkPlace {
  /** Lower-case hex of PACK_ID_BYTES. */
  readonly packId: string
  readonly offset: number
  /** As stored: compressed, encrypted, with its tag. */
  readonly storedBytes: number
}

/** A child of a node, or the root of a tree: what it is and where it lies. */
export interface TreeEntry {
  readonly digest: Uint8Array
  readonly rows: number
  /** Bytes of row text below, newlines included. */
  readonly textBytes: number
  /** The last key below. Empty only for the root of an empty tree. */
  readonly lastKey: Uint8Array
  readonly place: ChunkPlace
}

export interface TreeNode {
  readonly level: number
  readonly children: readonly TreeEntry[]
}

export function encodeNode(node: TreeNode): Buffer {
  const packIds = [...new Set(node.children.map((child) => child.place.packId))]
  const out = new ByteWriter(64 + node.children.length * 64)
  out.byte(node.level)
  out.varint(node.children.length)
  out.varint(packIds.length)
  for (const packId of packIds) out.bytes(Buffer.from(packId, 'hex'))
  let previous: Uint8Array = new Uint8Array()
  for (const child of node.children) {
    const shared = sharedPrefix(previous, child.lastKey)
    out.bytes(child.digest)
    out.varint(child.rows)
    out.varint(child.textBytes)
    out.varint(shared)
    out.varint(child.lastKey.length - shared)
    out.bytes(child.lastKey.subarray(shared))
    out.varint(packIds.indexOf(child.place.packId))
    out.varint(child.place.offset)
    out.varint(child.place.storedBytes)
    previous = child.lastKey
  }
  return out.done()
}

/** @throws repository-damaged */
export function decodeNode(encoded: Uint8Array, what: string): TreeNode {
  const reader = new ByteReader(encoded, what)
  const level = reader.byte()
  const childCount = reader.varint()
  const packCount = reader.varint()
  if (childCount > CHILDREN_MAX)
    throw reader.damaged(`claims ${childCount} children, no node has more than ${CHILDREN_MAX}`)
  if (packCount * PACK_ID_BYTES > reader.rest) throw reader.damaged('claims more packs than it has bytes')
  const packIds: string[] = []
  for (let pack = 0; pack < packCount; pack += 1) packIds.push(reader.bytes(PACK_ID_BYTES).toString('hex'))

  const children: TreeEntry[] = []
  let previous: Uint8Array = new Uint8Array()
  for (let child = 0; child < childCount; child += 1) {
    const entry = decodeEntry(reader, packIds, previous)
    children.push(entry)
    previous = entry.lastKey
  }
  reader.end()
  return { level, children }
}

function decodeEntry(reader: ByteReader, packIds: readonly string[], previous: Uint8Array): TreeEntry {
  const digest = Uint8Array.from(reader.bytes(DIGEST_BYTES))
  const rows = reader.varint()
  const textBytes = reader.varint()
  const shared = reader.varint()
  if (shared > previous.length) throw reader.damaged('shares more of a key than there is')
  const lastKey = Buffer.concat([previous.subarray(0, shared), reader.bytes(reader.varint())])
  const packId = packIds[reader.varint()]
  if (packId === undefined) throw reader.damaged('names a pack that it does not list')
  const place = { packId, offset: reader.varint(), storedBytes: reader.varint() }
  return { digest, rows, textBytes, lastKey, place }
}

function sharedPrefix(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length)
  let shared = 0
  while (shared < most && a[shared] === b[shared]) shared += 1
  return shared
}
