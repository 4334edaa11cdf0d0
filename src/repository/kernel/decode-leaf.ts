/**
 * Decoding a leaf by the kernel, for whoever reads the repository. What it refuses is asked of tree/leaf-codec.ts
 * again, which says what is wrong: a damaged leaf is rare, and then time does not matter.
 */
import { decodeLeaf as decodePlainly } from '../tree/leaf-codec.ts'
import { Kernel } from './kernel.ts'
import { LeafCodec } from './leaf-codec.ts'

/** A leaf of one giant row would leave the thread's kernel swollen for good. */
const TEXT_BYTES_MAX = 8 * 1024 * 1024

let kernel: Kernel | null = null

/** As tree/leaf-codec.ts. @throws repository-damaged */
export function decodeLeaf(
  encoded: Uint8Array,
  expected: { readonly rows: number; readonly columns: number; readonly textBytes: number; readonly what: string },
): Buffer {
  if (expected.textBytes > TEXT_BYTES_MAX || encoded.length > TEXT_BYTES_MAX) return decodePlainly(encoded, expected)
  kernel ??= new Kernel()
  const text = new LeafCodec(kernel, expected.columns).decode(encoded, expected)
  if (text === null) return decodePlainly(encoded, expected)
  return Buffer.from(kernel.bytes(text, text + expected.textBytes))
}
