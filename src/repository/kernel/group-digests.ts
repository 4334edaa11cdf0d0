/** Digests of a leaf's groups (tree/digest.ts) where the leaf stands in a kernel's memory. */
import { sha256 } from '../crypto/provider.ts'
import type { TreeDigester } from '../tree/digest.ts'
import type { Kernel } from './kernel.ts'

/** As assembly/leaf.ts: of the text where a group starts, and of its anchor: address and length. */
export const GROUP_BYTES = 12
/** 00 and the salt, which stand before a group's lines when these are digested. A leaf's text has so much room before it. */
export const GROUP_PREFIX_BYTES = 33

export interface KernelGroups {
  readonly text: number
  readonly textBytes: number
  readonly groups: number
  readonly count: number
}

export class GroupDigests {
  readonly #kernel: Kernel
  readonly #digester: TreeDigester
  /** Begins with 00. */
  readonly #prefix = Buffer.alloc(GROUP_PREFIX_BYTES)
  readonly #covered = Buffer.alloc(GROUP_PREFIX_BYTES)

  constructor(kernel: Kernel, digester: TreeDigester) {
    this.#kernel = kernel
    this.#digester = digester
  }

  /** A group's prefix is written over the end of the group before, which has been digested, and taken away again. */
  of(leaf: KernelGroups): Uint8Array[] {
    const groups = this.#kernel.numbers(leaf.groups, (leaf.count * GROUP_BYTES) >> 2)
    const text = this.#kernel.bytes(leaf.text - GROUP_PREFIX_BYTES, leaf.text + leaf.textBytes)
    const digests: Uint8Array[] = []
    for (let group = 0; group < leaf.count; group += 1) {
      const start = groups[group * 3]!
      const anchor = groups[group * 3 + 1]!
      const anchorBytes = groups[group * 3 + 2]!
      const end = (group + 1 < leaf.count ? groups[(group + 1) * 3]! : leaf.textBytes) + GROUP_PREFIX_BYTES
      this.#prefix.set(this.#digester.salt(this.#kernel.bytes(anchor, anchor + anchorBytes)), 1)
      text.copy(this.#covered, 0, start, start + GROUP_PREFIX_BYTES)
      text.set(this.#prefix, start)
      digests.push(sha256(text.subarray(start, end)))
      text.set(this.#covered, start)
    }
    return digests
  }
}
