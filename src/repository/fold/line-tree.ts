/** A tree of lines that come in any order: sorted within bounded memory, cut, and stored. */
import { MergedLeaves } from '../build/merged-leaves.ts'
import { RunSorter } from '../build/run-sorter.ts'
import type { PackWriter } from '../pack/pack-writer.ts'
import type { CutRule } from '../tree/boundary.ts'
import type { DigestKeys } from '../tree/digest.ts'
import type { TreeSpec } from '../tree/spec.ts'
import type { TreeRoot } from '../tree/tree-root.ts'
import { TreeWriter } from '../tree/tree-writer.ts'

export interface LineTreeOptions {
  readonly keys: DigestKeys & { readonly cutSeed: bigint }
  readonly leafPacks: PackWriter
  readonly nodePacks: PackWriter
  readonly spillDirectory: string
  /** Other than the format's, for tests. */
  readonly cuts?: { readonly leaf: CutRule; readonly node: CutRule }
}

/** Several tables may sort their changes at once. */
const RUN_BYTES = 4 * 1024 * 1024

export class LineTree implements Disposable {
  readonly #spec: TreeSpec
  readonly #options: LineTreeOptions
  #sorter: RunSorter | null = null

  constructor(spec: TreeSpec, options: LineTreeOptions) {
    this.#spec = spec
    this.#options = options
  }

  /** Whole lines or pieces of them. @throws source-failed, local-disk-full */
  add(lines: Uint8Array): void {
    this.#sorter ??= new RunSorter(this.#spec, {
      runBytes: RUN_BYTES,
      spillDirectory: this.#options.spillDirectory,
      onLocatorLines: null,
      memory: 'largest',
    })
    this.#sorter.add(lines)
  }

  /** Null when there was no line. @throws duplicate-key, and what the store throws */
  async finish(): Promise<TreeRoot | null> {
    const sorter = this.#sorter
    if (!sorter) return null
    const { keys, leafPacks, nodePacks, cuts } = this.#options
    const writer = new TreeWriter({
      treeName: this.#spec.name,
      keys,
      leafPacks,
      nodePacks,
      storedNodes: new Map(),
      ...(cuts ? { nodeCut: cuts.node } : {}),
    })
    sorter.startMerge()
    const options = { spec: this.#spec, keys, findStored: async () => null, encode: true }
    const cut = cuts ? { cut: cuts.leaf } : {}
    const merged = new MergedLeaves(sorter.kernel, { ...options, ...cut }, () => sorter.refill())
    for await (const leaf of merged.leaves()) await writer.addLeaf(leaf)
    return await writer.finish()
  }

  [Symbol.dispose](): void {
    this.#sorter?.[Symbol.dispose]()
  }
}
