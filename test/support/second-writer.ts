/**
 * Roots of a table from its COPY text, by docs/FORMAT.md alone: sections 4, 7, 8 and 9, and nothing of src. Slow, and
 * written to be compared with the page sentence by sentence.
 */
import { createHash, createHmac, hkdfSync } from 'node:crypto'

export interface WriterKeys {
  readonly salt: Buffer
  readonly separator: Buffer
  readonly cutSeed: bigint
}

/** Section 4. */
export function writerKeys(master: Uint8Array, repositoryId: string): WriterKeys {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', master, repositoryId, `chartkeep ${purpose} v1`, 32))
  return {
    salt: derive('salt'),
    separator: derive('separator'),
    cutSeed: derive('leaf boundary').readBigUInt64LE(0),
  }
}

export interface TreeForm {
  readonly name: string
  /** Fields by number. */
  readonly anchor: number | null
  readonly key: readonly number[]
}

interface Keyed {
  readonly line: Buffer
  readonly anchor: Buffer
  readonly key: Buffer
}

interface Part {
  readonly digest: Buffer
  readonly rows: number
  readonly lastKey: Buffer
}

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
const hmac = (key: Buffer, ...parts: Uint8Array[]) => createHmac('sha256', key).update(Buffer.concat(parts)).digest()

/** The root's digest, in hex, of lines that may stand in any order. */
export function rootOf(text: Buffer, form: TreeForm, keys: WriterKeys): string {
  const name = Buffer.from(`${form.name}\0`)
  const rows = keyedRows(text, form)
  let parts: Part[] = runs(rows, {
    scale: 36160,
    min: 8192,
    max: 131072,
    unit: (row) => row.line.length,
    hash: (row) => xxHash64(row.key, keys.cutSeed),
  }).map((leaf) => ({ digest: leafDigest(leaf, name, keys), rows: leaf.length, lastKey: leaf.at(-1)!.key }))
  for (let level = 1; ; level += 1) {
    const seed = BigInt.asUintN(64, keys.cutSeed + BigInt(level))
    const hash = (part: Part) => xxHash64(part.lastKey, seed)
    const nodes = runs(parts, { scale: 141, min: 24, max: 512, unit: () => 1, hash })
    if (nodes.length === 0) nodes.push([])
    parts = nodes.map((children) => ({
      digest: nodeDigest(level, children, name, keys),
      rows: children.reduce((sum, child) => sum + child.rows, 0),
      lastKey: children.at(-1)?.lastKey ?? Buffer.alloc(0),
    }))
    if (parts.length === 1) return parts[0]!.digest.toString('hex')
  }
}

/** A locator's lines: the key's fields, then the anchor's. */
export function locatorText(text: Buffer, form: TreeForm): Buffer {
  const lines = linesOf(text).map((line) => {
    const fields = fieldsOf(line)
    return Buffer.from(
      `${[...form.key, form.anchor!].map((field) => fields[field]!.toString('latin1')).join('\t')}\n`,
      'latin1',
    )
  })
  return Buffer.concat(lines)
}

function linesOf(text: Buffer): Buffer[] {
  const lines = text.toString('latin1').split('\n').slice(0, -1)
  return lines.map((line) => Buffer.from(`${line}\n`, 'latin1'))
}

function fieldsOf(line: Buffer): Buffer[] {
  const text = line.toString('latin1').slice(0, -1)
  return text.split('\t').map((field) => Buffer.from(field, 'latin1'))
}

function keyedRows(text: Buffer, { anchor, key }: TreeForm): Keyed[] {
  const rows = linesOf(text).map((line) => {
    const fields = fieldsOf(line)
    const anchorKey = anchor === null ? Buffer.alloc(0) : encodeField(fields[anchor]!)
    const rest =
      key.length > 0 ? key.map((field) => encodeField(fields[field]!)) : [sha256(line.subarray(0, -1)).subarray(0, 16)]
    return { line, anchor: anchorKey, key: Buffer.concat([anchorKey, ...rest]) }
  })
  rows.sort((a, b) => Buffer.compare(a.key, b.key))
  if (key.length > 0) return rows
  let ordinal = 0
  return rows.map((row, index) => {
    ordinal = index > 0 && rows[index - 1]!.key.equals(row.key) ? ordinal + 1 : 0
    const number = Buffer.alloc(4)
    number.writeUInt32BE(ordinal)
    return { ...row, key: Buffer.concat([row.key, number]) }
  })
}

function encodeField(field: Buffer): Buffer {
  const text = field.toString('latin1')
  if (text === '\\N') return Buffer.of(0x01)
  const number = /^(-?)(0|[1-9][0-9]{0,61})$/.exec(text)
  if (number && text !== '-0') {
    const [, sign, digits] = number as unknown as [string, string, string]
    if (sign === '') return Buffer.concat([Buffer.of(0x40 + digits.length), Buffer.from(digits)])
    const complement = [...digits].map((digit) => 9 - Number(digit)).join('')
    return Buffer.concat([Buffer.of(0x40 - digits.length), Buffer.from(complement)])
  }
  const escaped = [...field].flatMap((byte) => (byte === 0 ? [0, 0xff] : [byte]))
  return Buffer.from([0x80, ...escaped, 0x00, 0x01])
}

interface Cut<Item> {
  readonly scale: number
  readonly min: number
  readonly max: number
  readonly unit: (item: Item) => number
  readonly hash: (item: Item) => bigint
}

function runs<Item>(items: readonly Item[], { scale, min, max, unit, hash }: Cut<Item>): Item[][] {
  const found: Item[][] = []
  let run: Item[] = []
  let size = 0
  for (const item of items) {
    run.push(item)
    size += unit(item)
    const ratio = size / scale
    const hazard = ((4 * ratio * ratio * ratio) / scale) * unit(item)
    const low = Number(hash(item) & 0xffff_ffffn)
    if (size < min || (size < max && !(low < hazard * 4294967296))) continue
    found.push(run)
    run = []
    size = 0
  }
  return run.length > 0 ? [...found, run] : found
}

function leafDigest(rows: readonly Keyed[], name: Buffer, keys: WriterKeys): Buffer {
  const groups: Buffer[][] = []
  for (const [index, row] of rows.entries()) {
    if (index > 0 && rows[index - 1]!.anchor.equals(row.anchor)) groups.at(-1)!.push(row.line)
    else groups.push([Buffer.of(0), hmac(keys.salt, name, row.anchor), row.line])
  }
  return merkleRoot(groups.map((group) => sha256(...group)))
}

function nodeDigest(level: number, children: readonly Part[], name: Buffer, keys: WriterKeys): Buffer {
  const count = Buffer.alloc(4)
  count.writeUInt32LE(children.length)
  const parts = children.flatMap((child) => {
    const rows = Buffer.alloc(8)
    rows.writeBigUInt64LE(BigInt(child.rows))
    return [child.digest, rows, hmac(keys.separator, name, child.lastKey)]
  })
  return sha256(Buffer.of(2, level), count, ...parts)
}

function merkleRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  return sha256(Buffer.of(1), merkleRoot(hashes.slice(0, split)), merkleRoot(hashes.slice(split)))
}

const PRIMES = [
  11400714785074694791n,
  14029467366897019727n,
  1609587929392839161n,
  9650029242287828579n,
  2870177450012600261n,
] as const
const u64 = (value: bigint) => BigInt.asUintN(64, value)
const rotl = (value: bigint, bits: bigint) => u64((value << bits) | (value >> (64n - bits)))

/** The xxHash specification, version 0.1.1, step by step. */
export function xxHash64(input: Buffer, seed: bigint): bigint {
  const [P1, P2, P3, P4, P5] = PRIMES
  const round = (acc: bigint, lane: bigint) => u64(rotl(u64(acc + lane * P2), 31n) * P1)
  let at = 0
  let acc = u64(seed + P5)
  if (input.length >= 32) {
    const lanes = [u64(seed + P1 + P2), u64(seed + P2), seed, u64(seed - P1)]
    for (; at + 32 <= input.length; at += 32) {
      for (const [index, lane] of lanes.entries()) lanes[index] = round(lane, input.readBigUInt64LE(at + 8 * index))
    }
    const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint]
    acc = u64(rotl(a, 1n) + rotl(b, 7n) + rotl(c, 12n) + rotl(d, 18n))
    for (const lane of lanes) acc = u64((acc ^ round(0n, lane)) * P1 + P4)
  }
  acc = u64(acc + BigInt(input.length))
  for (; at + 8 <= input.length; at += 8) acc = u64(rotl(acc ^ round(0n, input.readBigUInt64LE(at)), 27n) * P1 + P4)
  if (at + 4 <= input.length) {
    acc = u64(rotl(acc ^ u64(BigInt(input.readUInt32LE(at)) * P1), 23n) * P2 + P3)
    at += 4
  }
  for (; at < input.length; at += 1) acc = u64(rotl(acc ^ u64(BigInt(input[at]!) * P5), 11n) * P1)
  acc = u64((acc ^ (acc >> 33n)) * P2)
  acc = u64((acc ^ (acc >> 29n)) * P3)
  return acc ^ (acc >> 32n)
}
