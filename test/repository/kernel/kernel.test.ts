/**
 * The kernel against the plain TypeScript, bit by bit: keys, hashes, columns, and whole tables in runs that are spilled
 * and merged in several passes.
 */
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import xxhash from 'xxhash-wasm'
import { buildKernel, KERNEL_FILE } from '../../../scripts/build-kernel.ts'
import { MergedLeaves } from '../../../src/repository/build/merged-leaves.ts'
import { buildTablePlainly } from '../../../src/repository/build/plain-build.ts'
import { RunSorter } from '../../../src/repository/build/run-sorter.ts'
import { Kernel } from '../../../src/repository/kernel/kernel.ts'
import { LeafCodec } from '../../../src/repository/kernel/leaf-codec.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import { decodeLeaf, encodeLeaf } from '../../../src/repository/tree/leaf-codec.ts'
import type { TreeSpec } from '../../../src/repository/tree/spec.ts'
import type { BuiltLeaf } from '../../../src/repository/tree/tree-writer.ts'
import { tableOfColumns } from '../tree/column-support.ts'
import {
  BAG,
  factsOf,
  fieldBytes,
  KEYS,
  leavesOf,
  lineOf,
  manyRows,
  propertyRuns,
  seededRandom,
  shuffled,
  WARD,
} from '../tree/support.ts'

const kernel = new Kernel()
const { h64Raw } = await xxhash()

/** Runs `work` with `bytes` in the kernel's memory, which is given back. */
function withBytes<T>(bytes: Uint8Array, work: (start: number, end: number) => T): T {
  const mark = kernel.mark()
  const start = kernel.allocate(bytes.length)
  kernel.write(start, bytes)
  try {
    return work(start, start + bytes.length)
  } finally {
    kernel.release(mark)
  }
}

function textOf(rows: readonly (readonly string[])[]): Buffer {
  return Buffer.from(rows.map((fields) => `${fields.join('\t')}\n`).join(''))
}

const anyTable = fc
  .integer({ min: 1, max: 6 })
  .chain((columns) =>
    fc.array(fc.array(fieldBytes, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 40 }),
  )

const table = fc.oneof(anyTable, tableOfColumns)

describe('the kernel', () => {
  it('is what its source gives, byte for byte', async () => {
    const committed = await readFile(KERNEL_FILE)

    const built = await buildKernel()

    expect(Buffer.from(built).equals(committed)).toBe(true)
  })

  it('encodes a field of a key as TypeScript does', () => {
    fc.assert(
      fc.property(fieldBytes, (text) => {
        const field = Buffer.from(text)

        const encoded = withBytes(field, (start, end) => {
          const out = kernel.allocate(2 * field.length + 3)
          return Buffer.from(kernel.bytes(out, kernel.calls.encodeField(start, end, out)))
        })

        expect(encoded.equals(encodeKey([field]))).toBe(true)
      }),
      propertyRuns(3000),
    )
  })

  it('hashes as xxHash64 does, at any length and seed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (bytes, seed) => {
        const hashed = withBytes(bytes, (start) =>
          BigInt.asUintN(64, kernel.calls.xxh64(start, bytes.length, BigInt.asIntN(64, seed))),
        )

        expect(hashed).toBe(h64Raw(bytes, seed))
      }),
      propertyRuns(1000),
    )
  })

  it('encodes a leaf to the bytes that TypeScript makes of it, and decodes them to the text', () => {
    fc.assert(
      fc.property(table, (rows) => {
        const text = textOf(rows)
        const columns = rows[0]!.length
        const codec = new LeafCodec(kernel, columns)

        const encoded = withBytes(text, (start) => Buffer.from(codec.encode(start, text.length, rows.length)))
        const at = codec.decode(encoded, { rows: rows.length, textBytes: text.length })

        expect(encoded.equals(encodeLeaf(text, rows.length, columns))).toBe(true)
        expect(at).not.toBeNull()
        expect(kernel.bytes(at!, at! + text.length).equals(text)).toBe(true)
      }),
      propertyRuns(1000),
    )
  })

  it('refuses a damaged leaf, or decodes it to what TypeScript makes of it, whose answer is asked for when it refuses', () => {
    fc.assert(
      fc.property(table, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (rows, where, byte, cut) => {
        const text = textOf(rows)
        const columns = rows[0]!.length
        const expected = { rows: rows.length, columns, textBytes: text.length, what: 'leaf' }
        const whole = encodeLeaf(text, rows.length, columns)
        const damaged = Buffer.from(cut ? whole.subarray(0, where % whole.length) : whole)
        if (!cut) damaged[where % whole.length] = byte

        const at = new LeafCodec(kernel, columns).decode(damaged, expected)
        const slow = attempt(() => decodeLeaf(damaged, expected))

        expect(at === null || slow !== null).toBe(true)
        if (at !== null) expect(kernel.bytes(at, at + text.length).equals(slow!)).toBe(true)
      }),
      propertyRuns(3000),
    )
  })
})

describe('leaves built by the kernel', () => {
  it('are, stored bytes included, those built plainly, for any keys, pieces and runs', async () => {
    const wide: TreeSpec = { name: 'public.wide', fieldCount: 4, anchor: 2, key: [3, 1] }
    const rows = fc.array(fc.array(fieldBytes, { minLength: 4, maxLength: 4 }), { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 32, max: 4000 }),
        async (fields, pieceBytes, runBytes) => {
          const text = textOf([...new Map(fields.map((each) => [`${each[3]}\t${each[1]}`, each])).values()])
          for (const spec of [wide, BAG]) {
            const built = await leavesOf(spec, text, { pieceBytes, runBytes, encode: true })
            const plain = await leavesOf(spec, text, { encode: true, build: buildTablePlainly })

            expect(built).toEqual(plain)
          }
        },
      ),
      propertyRuns(60),
    )
  })

  it('are the same when runs are merged in several passes', async () => {
    const random = seededRandom(21)
    const lines = shuffled(manyRows(6000, random), random).map(lineOf)
    const plain = await leavesOf(WARD, lines.join(''), { build: buildTablePlainly })

    const leaves: BuiltLeaf[] = []
    using sorter = new RunSorter(WARD, {
      runBytes: 9000,
      spillDirectory: tmpdir(),
      onLocatorLines: null,
      memory: 'largest',
      fanIn: 3,
    })
    for (const line of lines) sorter.add(Buffer.from(line))
    sorter.startMerge()
    const options = { spec: WARD, keys: KEYS, findStored: async () => null, encode: false }
    for await (const leaf of new MergedLeaves(sorter.kernel, options, () => sorter.refill()).leaves()) leaves.push(leaf)

    expect(factsOf(leaves)).toEqual(factsOf(plain.rows))
  })

  it('are the same when keys agree in all but their last bytes, or are longer than any room', async () => {
    const alike = Array.from({ length: 900 }, (_, index) => ({
      anchor: 'same',
      id: `${'deep/'.repeat(60 + (index % 3))}${(index * 7919) % 900}`,
      text: 'x\ty',
    }))
    const long = Array.from({ length: 12 }, (_, index) => ({
      anchor: `${'a'.repeat(30_000)}${index % 4}`,
      id: `${'k'.repeat(9000)}${(index * 5) % 12}`,
      text: `${index}\tz`,
    }))
    for (const rows of [alike, long]) {
      const text = rows.map(lineOf).join('')

      const built = await leavesOf(WARD, text, { runBytes: 100_000, encode: true })

      expect(built).toEqual(await leavesOf(WARD, text, { encode: true, build: buildTablePlainly }))
    }
  })

  it('are the same with a group for every row, more than a leaf has room for at first', async () => {
    const text = Array.from({ length: 30_000 }, (_, index) => `${index}\t${index}\t\t\n`).join('')

    const built = await leavesOf(WARD, text)

    expect(factsOf(built.rows)).toEqual(factsOf((await leavesOf(WARD, text, { build: buildTablePlainly })).rows))
  })

  it('of a stream that ends within a row are refused', async () => {
    await expect(leavesOf(WARD, '1\t2\t3\t4\n5\t6\t7\t8')).rejects.toMatchObject({ code: 'source-failed' })
  })
})

function attempt<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}
