/** Plain chunks of the golden repository with bytes changed: a tree's reader gives their own rows, or a Failure. */
import { Failure } from '../../src/errors.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { tableSpec } from '../../src/repository/table-spec.ts'
import { leafRequest, TreeReader } from '../../src/repository/tree/tree-reader.ts'
import { seededRandom } from '../../test/repository/tree/support.ts'
import { MemoryStore } from '../../test/support/memory-store.ts'
import { loadPatterns } from '../../test/support/mutations.ts'
import type { SoakPart, SoakRun, SoakTally } from './part.ts'

export const decoders: SoakPart = { name: 'decoders', run }

async function run({ seed, isOver }: SoakRun): Promise<SoakTally> {
  const chunks = await plainLeaves()
  const random = seededRandom(seed)
  const failures: string[] = []
  let tried = 0
  while (!isOver()) {
    const { reader, entry, bytes } = chunks[Math.floor(random() * chunks.length)]!
    const changed = Buffer.from(bytes)
    const edits = 1 + Math.floor(random() * 4)
    for (let edit = 0; edit < edits; edit += 1) {
      changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256)
    }
    try {
      const whole = reader.decodeLeaf(entry, bytes).text
      if (!reader.decodeLeaf(entry, changed).text.equals(whole)) failures.push(`try ${tried} gave other rows`)
    } catch (error) {
      if (!(error instanceof Failure)) failures.push(`try ${tried} threw no Failure`)
    }
    tried += 1
  }
  return { tried, failures, figures: {} }
}

async function plainLeaves() {
  const { golden, secrets } = await loadPatterns()
  const store = new MemoryStore()
  for (const [name, bytes] of golden) store.objects.set(name, bytes)
  const repository = await openRepository(store, { url: store.url }, secrets.keyFile)
  const { manifest } = await repository.readManifest((await repository.snapshotIds())[0]!)
  const chunks = repository.chunkReader()
  const leaves = []
  for (const table of manifest.tables) {
    const reader = new TreeReader(tableSpec(table), chunks, repository.keyring.secrets)
    for await (const entry of reader.leafEntries(table.rows)) {
      leaves.push({ reader, entry, bytes: await chunks.read(leafRequest(entry)) })
    }
  }
  return leaves
}
