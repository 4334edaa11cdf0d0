/** The leaves of a tree, from a kernel's merge. */
import type { Kernel } from '../kernel/kernel.ts'
import type { BuiltLeaf } from '../tree/tree-writer.ts'
import type { LeafBuilderOptions } from './leaf-builder.ts'
import { LeafFiller } from './leaf-filler.ts'

export class MergedLeaves {
  readonly #filler: LeafFiller
  readonly #refill: () => void

  /** `refill` gives the merge's used-up block other rows, or drops it. */
  constructor(kernel: Kernel, options: LeafBuilderOptions, refill: () => void) {
    this.#filler = new LeafFiller(kernel, options)
    this.#refill = refill
  }

  /** All leaves in order. @throws duplicate-key, source-failed, and what `findStored` throws */
  async *leaves(): AsyncGenerator<BuiltLeaf> {
    for (;;) {
      this.#filler.begin()
      let filled = this.#filler.fill()
      for (; filled === 'block-empty'; filled = this.#filler.fill()) this.#refill()
      if (this.#filler.rows > 0) yield await this.#filler.take()
      if (filled === 'rows-end') return
    }
  }
}
