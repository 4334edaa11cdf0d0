/**
 * The second reader against lies told with the right keys: everything decrypts, every object's hash fits, and one thing
 * in a tree is not so. It must find that thing by its own arithmetic, and lose no more than the leaf that it is in.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { packPayload } from '../../src/repository/pack/chunk.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository } from '../../src/repository/repository-lifecycle.ts'
import { encodeLeaf } from '../../src/repository/tree/leaf-codec.ts'
import type { TreeSpec } from '../../src/repository/tree/spec.ts'
import type { BuiltLeaf } from '../../src/repository/tree/tree-writer.ts'
import { type ForgedTable, forgeSnapshot, leafOf } from '../support/forge.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { type RescueRun, runRescue } from '../support/run-rescue.ts'

const ROWS = 2_500
const KEY = randomBytes(32)
const LINES = Array.from(
  { length: ROWS },
  (_, n) => `${n}\t${100 + Math.floor(n / 250)}\tas the monitor sends it\t${n % 7}`,
)
const VITALS: ForgedTable = {
  name: 'public.vital_sign',
  columns: ['id', 'stay_id', 'text', 'value'],
  primaryKey: ['id'],
  anchor: 'stay_id',
  anchorPath: ['public.vital_sign.stay_id'],
  lines: LINES,
}
const DRUGS: ForgedTable = {
  name: 'public.drug',
  columns: ['code'],
  primaryKey: ['code'],
  anchor: null,
  anchorPath: [],
  lines: ['A', 'B'],
}

let scratch: string
let repository: Repository
let store: MemoryStore

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'chartkeep-forged-'))
  store = new MemoryStore()
  const world = { nowMs: () => Date.UTC(2026, 0, 1), random: randomBytes }
  const secret = { kind: 'key-file', bytes: KEY } as const
  repository = (await initRepository(store, { url: store.url }, [secret], world)).repository
})
afterEach(async () => await rm(scratch, { recursive: true, force: true }))

async function rescueOf(lie: Partial<ForgedTable>): Promise<{ run: RescueRun; files: string[]; rows: string[] }> {
  await forgeSnapshot(repository, [DRUGS, { ...VITALS, ...lie }])
  for (const [name, bytes] of store.objects) {
    const path = join(scratch, 'repository', name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
  await writeFile(join(scratch, 'key'), KEY)
  const out = join(scratch, 'tables')
  const run = await runRescue('--repo', join(scratch, 'repository'), '--key-file', join(scratch, 'key'), '--out', out)
  const files = (await readdir(out)).filter((name) => name.endsWith('.copy')).sort()
  const rows = (await readFile(join(out, files.at(-1)!), 'utf8')).split('\n').slice(0, -1)
  return { run, files, rows }
}

/** The lines of leaf `index`, by the leaves as the rule cut them. */
function linesOf(leaves: readonly BuiltLeaf[], index: number): string[] {
  const start = leaves.slice(0, index).reduce((sum, leaf) => sum + leaf.rows, 0)
  return LINES.slice(start, start + leaves[index]!.rows)
}

/** Other rows under the digest of the right ones. */
function withText(leaf: BuiltLeaf, spec: TreeSpec, lines: readonly string[]): BuiltLeaf {
  const text = Buffer.from(lines.map((line) => `${line}\n`).join(''))
  return { ...leaf, textBytes: text.length, payload: packPayload(encodeLeaf(text, lines.length, spec.fieldCount)) }
}

describe('the second reader', () => {
  test('reads a truthful forgery whole, through two levels of nodes', async () => {
    const { run, files, rows } = await rescueOf({ rowsPerLeaf: 10, nodeCut: { scale: 10, min: 4, max: 16 } })

    expect(run).toMatchObject({ status: 0, stderr: '' })
    expect(files).toEqual(['public.drug.copy', 'public.vital_sign.copy'])
    expect(rows).toEqual(LINES)
  })

  test.each<[string, (leaves: BuiltLeaf[], spec: TreeSpec) => BuiltLeaf[], RegExp]>([
    [
      'another value under the right digest',
      (leaves, spec) => {
        const lines = linesOf(leaves, 1)
        const changed = lines.with(
          3,
          lines[3]!.replace(/\d$/, (digit) => String((Number(digit) + 1) % 7)),
        )
        return leaves.with(1, withText(leaves[1]!, spec, changed))
      },
      /holds rows of another digest/,
    ],
    [
      'two rows in each other’s place',
      (leaves, spec) => {
        const lines = linesOf(leaves, 1)
        return leaves.with(1, leafOf(repository, spec, [lines[1]!, lines[0]!, ...lines.slice(2)]))
      },
      /has rows out of order/,
    ],
    [
      'a row that stands in two leaves',
      (leaves, spec) => leaves.with(1, leafOf(repository, spec, [linesOf(leaves, 0).at(-1)!, ...linesOf(leaves, 1)])),
      /has rows out of order/,
    ],
    [
      "a separator that is not its leaf's last key",
      (leaves) => leaves.with(1, { ...leaves[1]!, lastKey: Buffer.concat([leaves[1]!.lastKey, Buffer.of(0)]) }),
      /ends at another key than its parent says/,
    ],
    [
      'a count that does not fit the rows',
      (leaves) => leaves.with(1, { ...leaves[1]!, rows: leaves[1]!.rows + 1 }),
      /has other rows or columns than its parent says/,
    ],
    [
      'a size that does not fit the text',
      (leaves) => leaves.with(1, { ...leaves[1]!, textBytes: leaves[1]!.textBytes + 1 }),
      /bytes of text, its parent says/,
    ],
  ])('finds %s, and keeps the rest', async (_, alter, message) => {
    let others: string[] = []
    const { run, files, rows } = await rescueOf({
      alter: (leaves, spec) => {
        others = [...linesOf(leaves, 0), ...leaves.slice(2).flatMap((__, index) => linesOf(leaves, index + 2))]
        return alter(leaves, spec)
      },
    })

    expect(run.status).toBe(1)
    expect(run.stderr).toMatch(message)
    expect(files).toEqual(['public.drug.copy', 'public.vital_sign.incomplete.copy'])
    expect(rows).toEqual(others)
    expect(run.stderr).not.toMatch(/monitor/)
  })

  test('finds a locator with fewer rows than its table', async () => {
    const locatorLines = LINES.slice(1).map((line) => line.split('\t').slice(0, 2).join('\t'))

    const { run, files } = await rescueOf({ locatorLines })

    expect(run.status).toBe(1)
    expect(run.stderr).toContain(`the locator of public.vital_sign has ${ROWS - 1} rows, its table ${ROWS}`)
    expect(files).toEqual(['public.drug.copy', 'public.vital_sign.copy'])
  })
})
