/** Trees in a store in memory, edited and built from scratch, and what that costs. */
import { randomBytes } from 'node:crypto'
import { LeafBuilder } from '../../../src/repository/build/leaf-builder.ts'
import { sortedRows } from '../../../src/repository/build/sorted-rows.ts'
import { packPayload, unpackPayload } from '../../../src/repository/pack/chunk.ts'
import { ChunkReader, type ChunkRequest } from '../../../src/repository/pack/chunk-reader.ts'
import { PackWriter } from '../../../src/repository/pack/pack-writer.ts'
import type { CutRule } from '../../../src/repository/tree/boundary.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import type { TreeSpec } from '../../../src/repository/tree/spec.ts'
import { type EditedTree, editTree, type TreeEdit } from '../../../src/repository/tree/tree-editor.ts'
import { TreeReader } from '../../../src/repository/tree/tree-reader.ts'
import type { TreeRoot } from '../../../src/repository/tree/tree-root.ts'
import { TreeWriter } from '../../../src/repository/tree/tree-writer.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { KEYS } from './support.ts'

export interface Cuts {
  readonly leaf: CutRule
  readonly node: CutRule
}

/** A few rows a leaf, a few children a node: a hundred rows are a tree of several levels. */
export const TINY: Cuts = { leaf: { scale: 60, min: 20, max: 160 }, node: { scale: 4, min: 2, max: 7 } }

const DATA_KEY = { number: 1, key: Buffer.alloc(32, 9) }

/** Counts what is read. */
class CountingReader extends ChunkReader {
  reads = 0

  override async read(request: ChunkRequest): Promise<Uint8Array> {
    this.reads += 1
    return await super.read(request)
  }
}

export class Workshop {
  readonly store = new MemoryStore()
  readonly chunks = new CountingReader(this.store, [DATA_KEY])
  leafPacks = this.#packs()
  nodePacks = this.#packs()

  /** After a put has failed: a pack writer does not get over that. */
  renewPacks(): void {
    this.leafPacks = this.#packs()
    this.nodePacks = this.#packs()
  }

  /** Chunks stored since the last call. */
  async flush(): Promise<number> {
    return (await this.#chunks(this.leafPacks)) + (await this.#chunks(this.nodePacks))
  }

  async edit(spec: TreeSpec, root: TreeRoot | null, edits: readonly TreeEdit[], cuts?: Cuts): Promise<EditedTree> {
    const { chunks, leafPacks, nodePacks } = this
    const sorted = [...edits].sort((a, b) => Buffer.compare(a.key, b.key))
    const signal = new AbortController().signal
    const options = { spec, root, edits: sorted, chunks, keys: KEYS, leafPacks, nodePacks, signal }
    return await editTree(cuts ? { ...options, cuts } : options)
  }

  /** A tree of which every leaf was stored with another last letter, by somebody who has the keys. */
  async forgedTree(spec: TreeSpec, lines: readonly string[], cuts: Cuts): Promise<TreeRoot> {
    const { leafPacks, nodePacks } = this
    const forged = {
      add: async (...[type, digest, payload]: Parameters<PackWriter['add']>) => {
        const text = Buffer.from(unpackPayload(payload, 'a leaf'))
        text.write('x', text.length - 1)
        return await leafPacks.add(type, digest, packPayload(text))
      },
    }
    const root = await builtFromScratch(spec, lines, cuts, { leafPacks: forged as PackWriter, nodePacks })
    await this.flush()
    return root
  }

  /** Of its own: what it reads is not counted. */
  reader(spec: TreeSpec): TreeReader {
    return new TreeReader(spec, new ChunkReader(this.store, [DATA_KEY]), KEYS)
  }

  /** All rows, as text; every node and leaf is checked. */
  async textOf(spec: TreeSpec, root: TreeRoot): Promise<string> {
    let text = ''
    for await (const rows of this.reader(spec).leaves(root)) {
      text += rows.text.toString('latin1')
    }
    return text
  }

  #packs(): PackWriter {
    return new PackWriter({ store: this.store, dataKey: DATA_KEY, random: randomBytes })
  }

  readonly #flushed = new Map<PackWriter, number>()
  async #chunks(packs: PackWriter): Promise<number> {
    const all = (await packs.flush()).reduce((sum, pack) => sum + pack.chunks, 0)
    const fresh = all - (this.#flushed.get(packs) ?? 0)
    this.#flushed.set(packs, all)
    return fresh
  }
}

/** Of a root, what does not hang on where it lies. */
export interface RootFacts {
  readonly digest: string
  readonly level: number
  readonly rows: number
  readonly textBytes: number
}

export function rootFacts({ digest, level, rows, textBytes }: TreeRoot): RootFacts {
  return { digest, level, rows, textBytes }
}

/** By the plain code, from nothing. */
export async function builtFromScratch(
  spec: TreeSpec,
  lines: Iterable<string>,
  cuts?: Cuts,
  packs: { leafPacks: PackWriter | null; nodePacks: PackWriter | null } = { leafPacks: null, nodePacks: null },
): Promise<TreeRoot> {
  const writer = new TreeWriter({
    treeName: spec.name,
    keys: KEYS,
    ...packs,
    storedNodes: new Map(),
    ...(cuts ? { nodeCut: cuts.node } : {}),
  })
  const findStored = async () => null
  const cut = cuts ? { cut: cuts.leaf } : {}
  const builder = new LeafBuilder({ spec, keys: KEYS, findStored, encode: packs.leafPacks !== null, ...cut })
  const text = Buffer.from([...lines].join(''), 'latin1')
  for await (const leaf of builder.add(sortedRows(spec, text))) await writer.addLeaf(leaf)
  for await (const leaf of builder.finish()) await writer.addLeaf(leaf)
  return await writer.finish()
}

/** The encoded key of a line. */
export function keyOf(spec: TreeSpec, line: string): Uint8Array {
  const fields = line
    .slice(0, -1)
    .split('\t')
    .map((field) => Buffer.from(field, 'latin1'))
  const positions = spec.anchor === null ? spec.key : [spec.anchor, ...spec.key]
  return encodeKey(positions.map((position) => fields[position]!))
}
