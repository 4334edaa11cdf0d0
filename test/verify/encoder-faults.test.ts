/**
 * F27: a compressor, a cipher or an encoder that goes wrong fails the backup, and not the restore a year later. One bit
 * of what it makes is flipped, at many places; whatever is then stored without an error reads back as it was.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { buildTable } from '../../src/repository/build/build-table.ts'
import { aes256Gcm } from '../../src/repository/crypto/provider.ts'
import { LeafCodec } from '../../src/repository/kernel/leaf-codec.ts'
import { PackWriter } from '../../src/repository/pack/pack-writer.ts'
import type { Repository } from '../../src/repository/repository.ts'
import type { TreeSpec } from '../../src/repository/tree/spec.ts'
import { TreeReader } from '../../src/repository/tree/tree-reader.ts'
import type { TreeRoot } from '../../src/repository/tree/tree-root.ts'
import { TreeWriter } from '../../src/repository/tree/tree-writer.ts'
import { memoryRepository } from '../support/forge.ts'

/** Of each maker's outputs, the `call`th gets bit `bit` flipped, counted round its length. */
const faults = vi.hoisted(() => ({
  compressor: null as { call: number; bit: number } | null,
  node: null as { call: number; bit: number } | null,
  calls: 0,
}))

function damaged<T extends Uint8Array>(made: T, fault: { call: number; bit: number } | null): T {
  if (!fault) return made
  faults.calls += 1
  if (faults.calls !== fault.call) return made
  const copy = Buffer.from(made)
  const bit = fault.bit % (copy.length * 8)
  copy[bit >> 3] = copy[bit >> 3]! ^ (1 << (bit & 7))
  return copy as Uint8Array as T
}

vi.mock('../../src/repository/pack/chunk.ts', async (original) => {
  const chunk = await original<typeof import('../../src/repository/pack/chunk.ts')>()
  return { ...chunk, packPayload: (plain: Uint8Array) => damaged(chunk.packPayload(plain), faults.compressor) }
})

vi.mock('../../src/repository/tree/node-codec.ts', async (original) => {
  const codec = await original<typeof import('../../src/repository/tree/node-codec.ts')>()
  return {
    ...codec,
    encodeNode: (node: Parameters<typeof codec.encodeNode>[0]) => damaged(codec.encodeNode(node), faults.node),
  }
})

afterEach(() => {
  vi.restoreAllMocks()
  Object.assign(faults, { compressor: null, node: null, calls: 0 })
})

const SPEC: TreeSpec = { name: 'public.t', fieldCount: 3, anchor: null, key: [0] }
const TEXT = Array.from({ length: 2_000 }, (_, n) => `${n}\tvalue ${(n * 7919) % 1000} of a row\t${n % 13}\n`).join('')

async function* lines(): AsyncGenerator<Uint8Array> {
  yield Buffer.from(TEXT)
}

async function store(repository: Repository): Promise<TreeRoot> {
  const keys = repository.keyring.secrets
  const dataKey = repository.keyring.currentDataKey
  const packs = new PackWriter({ store: repository.store, dataKey, random: randomBytes })
  const writer = new TreeWriter({
    treeName: SPEC.name,
    keys,
    leafPacks: packs,
    nodePacks: packs,
    storedNodes: new Map(),
  })
  await buildTable({
    spec: SPEC,
    lines: lines(),
    keys,
    findStored: { rows: async () => null, locator: async () => null },
    encode: true,
    runBytes: 1024 * 1024,
    spillDirectory: tmpdir(),
    onLeaf: (_, leaf) => writer.addLeaf(leaf),
    onRead: () => {},
  })
  const root = await writer.finish()
  await packs.flush()
  return root
}

async function textOf(repository: Repository, root: TreeRoot): Promise<string> {
  const reader = new TreeReader(SPEC, repository.chunkReader(), repository.keyring.secrets)
  const parts: Buffer[] = []
  for await (const rows of reader.leaves(root)) parts.push(rows.text)
  return Buffer.concat(parts).toString()
}

describe('what is stored without an error is what was given', () => {
  test('when nothing goes wrong', async () => {
    const { repository } = await memoryRepository()

    expect(await attempt(repository)).toBe('whole')
  })

  test.each(['compressor', 'node'] as const)('when one bit of what the encoder makes is wrong: %s', async (maker) => {
    const seen: string[] = []
    for (let place = 0; place < 40; place += 1) {
      const { repository } = await memoryRepository()
      // The repository's own objects are made by now: the next call is a chunk's.
      faults[maker] = { call: 1 + (maker === 'compressor' ? place % 3 : 0), bit: Math.floor(place * 1009.7) }
      faults.calls = 0
      seen.push(await attempt(repository))
      faults[maker] = null
    }

    expect(seen).not.toContain('LOST')
    expect(seen.filter((one) => one === 'refused').length).toBeGreaterThan(20)
  })

  test('when one bit of what the encoder of leaves makes is wrong', async () => {
    const seen: string[] = []
    for (let place = 0; place < 40; place += 1) {
      const { repository } = await memoryRepository()
      faults.calls = 0
      const fault = { call: 1 + (place % 2), bit: Math.floor(place * 1009.7) }
      const encode = LeafCodec.prototype.encode
      const spy = vi.spyOn(LeafCodec.prototype, 'encode').mockImplementation(function (this: LeafCodec, ...given) {
        return damaged(encode.apply(this, given), fault)
      })
      seen.push(await attempt(repository))
      spy.mockRestore()
    }

    expect(seen).not.toContain('LOST')
    expect(seen.filter((one) => one === 'refused').length).toBeGreaterThan(20)
  })

  test('when an index or a manifest is sealed wrongly: it is not stored', async () => {
    const { repository, store: objects } = await memoryRepository()
    const before = objects.objects.size
    const seal = aes256Gcm.seal.bind(aes256Gcm)
    for (let bit = 0; bit < 200; bit += 37) {
      faults.calls = 0
      const spy = vi
        .spyOn(aes256Gcm, 'seal')
        .mockImplementation((...given) => damaged(seal(...given), { call: 1, bit }))
      const index = { format: 1 as const, snapshotId: '20260101T000000Z-00000000', packs: [] }
      await expect(repository.writeIndex(index)).rejects.toBeInstanceOf(Failure)
      spy.mockRestore()
    }

    expect(objects.objects.size).toBe(before)
  })

  test('when one bit of what the cipher makes is wrong, ciphertext or tag', async () => {
    const sealInto = aes256Gcm.sealInto.bind(aes256Gcm)
    const seen: string[] = []
    for (let place = 0; place < 20; place += 1) {
      const { repository } = await memoryRepository()
      faults.calls = 0
      const fault = { call: 1 + (place % 4), bit: place * 1013 }
      const spy = vi.spyOn(aes256Gcm, 'sealInto').mockImplementation((...given) => {
        const sealedBytes = sealInto(...given)
        const [, , , , out, at] = given
        out.set(damaged(out.subarray(at, at + sealedBytes), fault), at)
        return sealedBytes
      })
      const outcome = await attempt(repository)
      spy.mockRestore()
      // Where leaves are cut differs from repository to repository: there may be fewer calls than that.
      if (faults.calls >= fault.call) seen.push(outcome)
    }

    expect(seen.length).toBeGreaterThanOrEqual(15)
    expect(seen).toEqual(seen.map(() => 'refused'))
  })
})

/** 'refused' by the backup; 'whole' when the damage changed nothing that is read. */
async function attempt(repository: Repository): Promise<'refused' | 'whole' | 'LOST'> {
  let root: TreeRoot
  try {
    root = await store(repository)
  } catch (error) {
    if (error instanceof Failure) return 'refused'
    throw error
  }
  const read = await textOf(repository, root).catch(() => 'nothing')
  return read === TEXT ? 'whole' : 'LOST'
}
