/**
 * Rows for property tests of the tree, what the code makes of them, and a slow, obvious model of the same.
 *
 * The model knows the format's rules and none of the code's tricks: it sorts an array of rows, walks it once, and
 * writes every digest out in full.
 */
import { createHash, createHmac } from 'node:crypto'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { buildTable, type FindStored, type TreeKind } from '../../../src/repository/build/build-table.ts'
import { isCut, keyHash, LEAF_CUT } from '../../../src/repository/tree/boundary.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import type { TreeSpec } from '../../../src/repository/tree/spec.ts'
import type { BuiltLeaf } from '../../../src/repository/tree/tree-writer.ts'

export const KEYS = {
  saltKey: Buffer.alloc(32, 1),
  separatorKey: Buffer.alloc(32, 2),
  cutSeed: 0x0123_4567_89ab_cdefn,
}

/** A table whose key does not contain its anchor: it has a locator. Fields: anchor, key, two of any text. */
export const WARD: TreeSpec = { name: 'public.ward', fieldCount: 4, anchor: 0, key: [1] }
export const BAG: TreeSpec = { name: 'public.bag', fieldCount: 4, anchor: 0, key: [] }

/** The seed of this run, printed with every failure by fast-check; CHARTKEEP_SEED repeats one. */
export function propertyRuns(numRuns: number): fc.Parameters<unknown> {
  const seed = Number(process.env.CHARTKEEP_SEED ?? Date.now() % 2 ** 31)
  return { numRuns, seed }
}

/** What COPY may put into a field: any bytes but tab and newline; control characters 01 to 07 among them. */
export const fieldBytes = fc.oneof(
  fc.constantFrom('', '\\N', '0', '-0', '00', '-1', '1.0', '1.00', 'é', '白细胞', '\\t', '\u0001\u0007', '\\\\N'),
  fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }).map(String),
  fc.integer({ min: -200, max: 200 }).map(String),
  fc.string({ unit: 'binary', maxLength: 24 }).map((text) => text.replaceAll(/[\t\n]/g, ' ')),
)

export interface Row {
  readonly anchor: string
  readonly id: string
  readonly text: string
}

export const row: fc.Arbitrary<Row> = fc.record({
  anchor: fc.oneof(fc.integer({ min: 1, max: 30 }).map(String), fieldBytes),
  id: fc.oneof(fc.integer({ min: 1, max: 5000 }).map(String), fieldBytes),
  text: fc.tuple(fieldBytes, fieldBytes).map(([a, b]) => `${a}\t${b}`),
})

/** Rows of distinct keys, enough of them for several leaves: each brings `padding` bytes of its own text. */
export function manyRows(count: number, random: () => number, padding = 60): Row[] {
  return Array.from({ length: count }, (_, index) => ({
    anchor: String(1 + Math.floor(random() * 40)),
    id: String(index * 7 + 1),
    text: `${'x'.repeat(Math.floor(random() * padding))}\t${Math.floor(random() * 1000)}`,
  }))
}

export function lineOf({ anchor, id, text }: Row): string {
  return `${anchor}\t${id}\t${text}\n`
}

/** A small generator with a seed, for data that fast-check need not shrink. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39)
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
  }
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items]
  for (let at = out.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1))
    ;[out[at], out[other]] = [out[other]!, out[at]!]
  }
  return out
}

export type Leaves = Readonly<Record<TreeKind, readonly BuiltLeaf[]>>

export interface BuildChoices {
  /** Bytes of each piece of the stream; lines are cut anywhere. */
  readonly pieceBytes?: number
  /** Small ones make many runs, which are spilled and merged. */
  readonly runBytes?: number
  readonly encode?: boolean
  readonly findStored?: FindStored
  readonly build?: typeof buildTable
}

const notStored: FindStored = async () => null

/** What the code makes of these lines. */
export async function leavesOf(spec: TreeSpec, text: Buffer | string, choices: BuildChoices = {}): Promise<Leaves> {
  const found: Record<TreeKind, BuiltLeaf[]> = { rows: [], locator: [] }
  const findStored = choices.findStored ?? notStored
  await (choices.build ?? buildTable)({
    spec,
    lines: pieces(Buffer.from(text), choices.pieceBytes ?? 64 * 1024),
    keys: KEYS,
    findStored: { rows: findStored, locator: findStored },
    encode: choices.encode ?? false,
    runBytes: choices.runBytes ?? 8 * 1024 * 1024,
    spillDirectory: tmpdir(),
    onLeaf: async (tree, leaf) => {
      found[tree].push(leaf)
    },
    onRead: () => {},
  })
  return found
}

async function* pieces(text: Buffer, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += bytes) yield Uint8Array.from(text.subarray(at, at + bytes))
}

/** Of a leaf, what a root depends on. */
export interface LeafFacts {
  readonly digest: string
  readonly lastKey: string
  readonly rows: number
  readonly textBytes: number
}

export function factsOf(leaves: readonly BuiltLeaf[]): LeafFacts[] {
  return leaves.map(({ digest, lastKey, rows, textBytes }) => ({
    digest: hex(digest),
    lastKey: hex(lastKey),
    rows,
    textBytes,
  }))
}

interface ModelRow {
  readonly line: Buffer
  readonly anchor: Buffer
  readonly key: Buffer
}

/** The leaves that `lines` must give. */
export function modelLeaves(spec: TreeSpec, lines: readonly string[]): LeafFacts[] {
  const rows = lines.map((line) => modelRow(spec, line)).sort(byKeyThenLine)
  const numbered = spec.key.length === 0 ? withOrdinals(rows) : rows
  const hash = keyHash(KEYS.cutSeed, 0)
  const leaves: LeafFacts[] = []
  let leaf: ModelRow[] = []
  for (const each of numbered) {
    leaf.push(each)
    const size = leaf.reduce((sum, { line }) => sum + line.length, 0)
    if (!isCut(LEAF_CUT, size, each.line.length, hash(each.key))) continue
    leaves.push(modelLeaf(spec, leaf))
    leaf = []
  }
  if (leaf.length > 0) leaves.push(modelLeaf(spec, leaf))
  return leaves
}

function modelRow(spec: TreeSpec, line: string): ModelRow {
  const fields = line
    .slice(0, -1)
    .split('\t')
    .map((field) => Buffer.from(field))
  const anchor = spec.anchor === null ? Buffer.alloc(0) : Buffer.from(encodeKey([fields[spec.anchor]!]))
  const bytes = Buffer.from(line)
  const own =
    spec.key.length === 0
      ? createHash('sha256').update(bytes.subarray(0, -1)).digest().subarray(0, 16)
      : Buffer.from(encodeKey(spec.key.map((field) => fields[field]!)))
  return { line: bytes, anchor, key: Buffer.concat([anchor, own]) }
}

function byKeyThenLine(a: ModelRow, b: ModelRow): number {
  return Buffer.compare(a.key, b.key) || Buffer.compare(a.line, b.line)
}

function withOrdinals(rows: readonly ModelRow[]): ModelRow[] {
  return rows.map((each, index) => {
    const ordinal = Buffer.alloc(4)
    ordinal.writeUInt32BE(rows.slice(0, index).filter(({ key }) => key.equals(each.key)).length)
    return { ...each, key: Buffer.concat([each.key, ordinal]) }
  })
}

function modelLeaf(spec: TreeSpec, rows: readonly ModelRow[]): LeafFacts {
  const groups: ModelRow[][] = []
  for (const each of rows) {
    if (groups.at(-1)?.[0]?.anchor.equals(each.anchor)) groups.at(-1)?.push(each)
    else groups.push([each])
  }
  return {
    digest: hex(merkle(groups.map((group) => modelGroup(spec, group)))),
    lastKey: hex(rows.at(-1)!.key),
    rows: rows.length,
    textBytes: rows.reduce((sum, { line }) => sum + line.length, 0),
  }
}

function modelGroup(spec: TreeSpec, rows: readonly ModelRow[]): Buffer {
  const salt = createHmac('sha256', KEYS.saltKey)
    .update(Buffer.concat([Buffer.from(`${spec.name}\0`), rows[0]!.anchor]))
    .digest()
  const lines = Buffer.concat(rows.map(({ line }) => line))
  return createHash('sha256')
    .update(Buffer.concat([Buffer.of(0), salt, lines]))
    .digest()
}

/** RFC 6962, section 2.1, as it is written there. */
function merkle(digests: readonly Buffer[]): Buffer {
  if (digests.length === 1) return digests[0]!
  let half = 1
  while (half * 2 < digests.length) half *= 2
  const parts = [Buffer.of(1), merkle(digests.slice(0, half)), merkle(digests.slice(half))]
  return createHash('sha256').update(Buffer.concat(parts)).digest()
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
