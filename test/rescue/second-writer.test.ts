/**
 * The page as a recipe: from what PostgreSQL's COPY said, and docs/FORMAT.md, come the very roots that were stored. Who
 * has the database and the page needs neither reader nor writer of ours to prove a snapshot.
 */
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { type BuiltLeaf, TreeWriter } from '../../src/repository/tree/tree-writer.ts'
import { KEYS, leavesOf, seededRandom, WARD } from '../repository/tree/support.ts'
import { expectedTables, GOLDEN, goldenSecrets, goldenSnapshots, readFiles } from '../support/golden.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { locatorText, rootOf, type TreeForm, type WriterKeys, writerKeys, xxHash64 } from '../support/second-writer.ts'

const SEED = Number(process.env.CHARTKEEP_SEED ?? Date.now() % 2 ** 31)

let repository: Repository
let keys: WriterKeys

beforeAll(async () => {
  const store = new MemoryStore()
  for (const [name, bytes] of await readFiles(join(GOLDEN, 'repository'))) store.objects.set(name, bytes)
  repository = await openRepository(store, { url: store.url }, (await goldenSecrets()).keyFile)
  keys = writerKeys(repository.keyring.masterSealKey.key, repository.id)
})

function formOf({ name, columns, anchor, primaryKey }: Manifest['tables'][number]): TreeForm {
  const position = (column: string) => columns.findIndex((candidate) => candidate.name === column)
  return { name, anchor: anchor === null ? null : position(anchor), key: primaryKey.map(position) }
}

describe('by the page alone', () => {
  test('xxHash64 gives the published values', () => {
    expect(xxHash64(Buffer.alloc(0), 0n)).toBe(0xef46db3751d8e999n)
    expect(xxHash64(Buffer.from('a'), 0n)).toBe(0xd24ec4f1a98c6e5bn)
    expect(xxHash64(Buffer.from('abc'), 0n)).toBe(0x44bc2cf5ad770999n)
    expect(xxHash64(Buffer.from('Nobody inspects the spammish repetition'), 0n)).toBe(0xfbcea83c8a378bf1n)
  })

  test('the rows that COPY gave have the roots of the manifest, table by table', async () => {
    for (const snapshotId of await goldenSnapshots()) {
      const texts = await expectedTables(snapshotId)
      const { manifest } = await repository.readManifest(snapshotId)
      for (const table of manifest.tables) {
        expect(rootOf(texts.get(table.name)!, formOf(table), keys), table.name).toBe(table.rows.digest)
      }
    }
  })

  test('and locators those of theirs', async () => {
    let locators = 0
    for (const snapshotId of await goldenSnapshots()) {
      const texts = await expectedTables(snapshotId)
      const { manifest } = await repository.readManifest(snapshotId)
      for (const table of manifest.tables.filter(({ locator }) => locator !== null)) {
        const form = formOf(table)
        const key = form.key.map((_, index) => index)
        const text = locatorText(texts.get(table.name)!, form)
        const root = rootOf(text, { name: `${table.name}#locator`, anchor: null, key }, keys)
        expect(root, table.name).toBe(table.locator!.digest)
        locators += 1
      }
    }
    expect(locators).toBeGreaterThan(4)
  })

  test('a tree of several levels has the root that the code builds, with long rows and short ones', async () => {
    const random = seededRandom(SEED)
    const lines = Array.from({ length: 700 }, (_, n) => {
      const long = random() < 0.6 ? 'x'.repeat(Math.floor(random() * 50_000)) : 'short'
      return `${1 + Math.floor(random() * 90)}\t${n * 3}\t${long}\t${Math.floor(random() * 100)}\n`
    })
    const text = Buffer.from(lines.join(''))
    const { rows, locator } = await leavesOf(WARD, text)
    const form = { name: WARD.name, anchor: WARD.anchor, key: WARD.key }
    const testKeys = { salt: KEYS.saltKey, separator: KEYS.separatorKey, cutSeed: KEYS.cutSeed }
    const built = async (treeName: string, leaves: readonly BuiltLeaf[]) => {
      const packs = { leafPacks: null, nodePacks: null, storedNodes: new Map() }
      const writer = new TreeWriter({ treeName, keys: KEYS, ...packs })
      for (const leaf of leaves) await writer.addLeaf(leaf)
      return await writer.finish()
    }

    const tree = await built(WARD.name, rows)

    expect(tree.level, `CHARTKEEP_SEED=${SEED}`).toBeGreaterThan(1)
    expect(rootOf(text, form, testKeys), `CHARTKEEP_SEED=${SEED}`).toBe(tree.digest)
    const locatorForm = { name: `${WARD.name}#locator`, anchor: null, key: [0] }
    const locatorTree = await built(locatorForm.name, locator)
    expect(rootOf(locatorText(text, form), locatorForm, testKeys)).toBe(locatorTree.digest)
  })
})
