/** A package as one file: ustar (POSIX.1-1988), which everything unpacks. The same files and time, the same bytes. */
import { assert } from '../../errors.ts'

const BLOCK = 512
const NAME_BYTES_MAX = 100

/** @param timeMs stands at every file */
export function tarOf(files: ReadonlyMap<string, Uint8Array>, timeMs: number): Uint8Array {
  const parts: Uint8Array[] = []
  for (const [name, bytes] of files) {
    parts.push(header(name, bytes.length, timeMs), bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK))
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)])
}

function header(name: string, bytes: number, timeMs: number): Buffer {
  assert(Buffer.byteLength(name) <= NAME_BYTES_MAX, 'a file of a package has a short name')
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  block.write(name, 0)
  block.write(`${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100)
  block.write(`${octal(bytes, 11)}\0${octal(Math.floor(timeMs / 1000), 11)}\0`, 124)
  block.write(' '.repeat(8), 148)
  block.write('0', 156)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148)
  return block
}
