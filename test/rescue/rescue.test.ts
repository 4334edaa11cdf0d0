/**
 * The second reader against today's code and a real server, and against damage: it says what is wrong and where, writes
 * what is whole, never passes off a part as the whole, and lets no row's value into a message.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { openStore } from '../../src/repository/store/open.ts'
import { tableSpec } from '../../src/repository/table-spec.ts'
import { TreeReader } from '../../src/repository/tree/tree-reader.ts'
import { openSource } from '../../src/source/open.ts'
import { seededRandom } from '../repository/tree/support.ts'
import { runSql } from '../source/postgres/support.ts'
import { copySorted } from '../support/copy-oracle.ts'
import { copyGolden, expectedTables, GOLDEN, goldenSecrets, goldenSnapshots } from '../support/golden.ts'
import { GOLDEN_FIRST_SQL, GOLDEN_LAYOUT, GOLDEN_SECOND_SQL } from '../support/golden-source.ts'
import { loadPatterns, MUTATION_KINDS, mutate, type Objects } from '../support/mutations.ts'
import { makeRepository, TEST_PASSPHRASE } from '../support/repository.ts'
import { type RescueRun, runRescue } from '../support/run-rescue.ts'

const KEY_FILE = join(GOLDEN, 'key-file')
const SEED = Number(process.env.CHARTKEEP_SEED ?? Date.now() % 2 ** 31)
const MEMORY_KILOBYTES_MAX = 250 * 1024

let out: string
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'chartkeep-rescued-'))
})
afterEach(async () => await rm(out, { recursive: true, force: true }))

describe('the second reader, of a repository that was just made', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({})
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('gives what COPY gives of the source, table by table', async () => {
    const url = await server.createDatabase('rescued')
    await runSql(url, ...GOLDEN_FIRST_SQL)
    await using made = await makeRepository({ alsoOpenedBy: TEST_PASSPHRASE })
    await using source = await openSource({ url })
    await made.snapshot(source, GOLDEN_LAYOUT, Date.UTC(2026, 0, 2))
    await runSql(url, ...GOLDEN_SECOND_SQL)
    const snapshotId = await made.snapshot(source, GOLDEN_LAYOUT, Date.UTC(2026, 0, 3))
    const passphrase = join(out, 'passphrase')
    await writeFile(passphrase, `${TEST_PASSPHRASE.passphrase}\n`)
    const target = join(out, 'tables')

    const run = await runRescue('--repo', made.directory, '--passphrase-file', passphrase, '--out', target)

    expect(run).toMatchObject({ status: 0, stderr: '' })
    const { manifest } = await made.repository.readManifest(snapshotId)
    const rescued = await Promise.all((await copies(target)).map((name) => readFile(join(target, name))))
    const sorted = await Promise.all(
      manifest.tables.map((table) => copySorted(url, { ...table, columns: table.columns.map(({ name }) => name) })),
    )
    expect(rescued.sort(Buffer.compare)).toEqual(sorted.sort(Buffer.compare))
  })
})

async function copies(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.copy')).sort()
}

/** The golden repository with other objects, read by the second reader. */
async function rescueOf(objects: Objects, ...options: string[]): Promise<RescueRun> {
  await using copy = await copyGolden()
  for (const [name, bytes] of objects) await writeFile(join(copy.directory, name), bytes)
  const where = options.includes('--list') ? [] : ['--out', join(out, 'tables')]
  return await runRescue('--repo', copy.directory, '--key-file', KEY_FILE, ...where, ...options)
}

describe('the second reader, of a damaged repository,', () => {
  test('writes the other tables, and names the one that lacks rows, and its file says so', async () => {
    const place = await firstLeaf('public.vital_sign')
    const bytes = Buffer.from(await readFile(join(GOLDEN, 'repository', place.key)))
    bytes[place.offset + 7]! ^= 1
    const [snapshotId] = await goldenSnapshots()

    const run = await rescueOf(new Map([[place.key, bytes]]), '--snapshot', snapshotId!)

    expect(run.status).toBe(1)
    const expected = await expectedTables(snapshotId!)
    const names = await copies(join(out, 'tables'))
    expect(names).toHaveLength(expected.size)
    expect(names.filter((name) => name.includes('incomplete'))).toEqual(['public.vital_sign.incomplete.copy'])
    expect(run.stderr).toMatch(/table public\.vital_sign: \d+ of 4000 rows are missing/)
    const whole = expected.get('public.vital_sign')!.toString('utf8').split('\n')
    const kept = (await readFile(join(out, 'tables', 'public.vital_sign.incomplete.copy'), 'utf8')).split('\n')
    expect(kept.length).toBeGreaterThan(whole.length / 3)
    expect(kept.filter((line) => !whole.includes(line))).toEqual([])
    expect(await readFile(join(out, 'tables', 'README.txt'), 'utf8')).toContain('MISSING')
  })

  test('says what is wrong, or gives every row that COPY gave, whatever object is damaged however', async () => {
    const patterns = await loadPatterns()
    const random = seededRandom(SEED)
    const names = [...patterns.golden.keys()]
    const [, newest] = await goldenSnapshots()
    const expected = [...(await expectedTables(newest!)).values()].sort(Buffer.compare)
    for (let count = 0; count < 24; count += 1) {
      const name = names[Math.floor(random() * names.length)]!
      const kind = MUTATION_KINDS[count % MUTATION_KINDS.length]!
      const objects = mutate(patterns, name, kind, random)
      if (!objects) continue
      await rm(join(out, 'tables'), { recursive: true, force: true })
      const run = await rescueOf(objects)
      const what = `${kind} ${name} (CHARTKEEP_SEED=${SEED}): ${run.stderr}`
      expect(run.memoryKilobytesMax, what).toBeLessThan(MEMORY_KILOBYTES_MAX)
      expect([0, 1, 3], what).toContain(run.status)
      expect(run.stderr, what).not.toContain('unexpected')
      if (run.status === 0) {
        const directory = join(out, 'tables')
        const texts = await Promise.all((await copies(directory)).map((file) => readFile(join(directory, file))))
        expect(texts.sort(Buffer.compare), what).toEqual(expected)
      }
    }
  })

  test.each([
    ['manifests/', 'is missing|not in the ledger|does not decrypt'],
    ['ledger/entries/', 'ledger'],
    ['signers/', 'signers'],
    ['config', 'config'],
    ['audit/', 'audit'],
    ['ledger/checkpoints/', 'ledger'],
    ['ledger/heads/', 'ledger'],
    ['data-keys/', 'data-keys|data key'],
  ])('complains of every flipped bit in %s', async (prefix, words) => {
    const patterns = await loadPatterns()
    for (const name of [...patterns.golden.keys()].filter((candidate) => candidate.startsWith(prefix))) {
      const run = await rescueOf(mutate(patterns, name, 'flip', seededRandom(SEED))!, '--list')
      expect(run.status, `${name} (CHARTKEEP_SEED=${SEED})`).not.toBe(0)
      expect(run.stderr, name).toMatch(new RegExp(words))
    }
  })

  test('needs no config: every wrapper has the repository by its id', async () => {
    const run = await rescueOf(new Map([['config', Buffer.from('{}')]]))

    expect(run.status).toBe(1)
    expect(await copies(join(out, 'tables'))).toHaveLength(11)
  })

  test('writes nothing of a snapshot whose signature does not hold, unless it is told to', async () => {
    const patterns = await loadPatterns()
    const signer = [...patterns.golden.keys()].find((name) => name.startsWith('signers/'))!
    const objects = new Map([[signer, Buffer.alloc(60)]])

    const refused = await rescueOf(objects)
    expect(refused.status).toBe(3)
    expect(await readdir(out)).toEqual([])

    const told = await rescueOf(objects, '--even-unsigned')
    expect(told.status).toBe(1)
    expect(told.stderr).toContain('is not signed by an agent that the repository knows')
    expect(await copies(join(out, 'tables'))).toHaveLength(11)
  })

  test('lets no value of a row into a message', async () => {
    const patterns = await loadPatterns()
    const random = seededRandom(SEED)
    const packs = [...patterns.golden.keys()].filter((name) => name.startsWith('packs/'))
    const values = /MRN\d|name of|alarm \d|note \d|李|bed \d|kalium/
    for (const name of packs) {
      await rm(join(out, 'tables'), { recursive: true, force: true })
      const run = await rescueOf(mutate(patterns, name, 'zero', random)!)
      expect(`${run.stdout}${run.stderr}`).not.toMatch(values)
    }
  })
})

describe('the second reader, opened with', () => {
  test.each([
    ['another passphrase', '--passphrase-file', Buffer.from('wrong horse\n')],
    ['another key file', '--key-file', Buffer.alloc(64, 7)],
    ['something that is no sheet', '--recovery-sheet', Buffer.from('1  AAAA BBBB\n')],
  ])('%s, says so and writes nothing', async (_, option, bytes) => {
    const file = join(out, 'secret')
    await writeFile(file, bytes)
    await using copy = await copyGolden()

    const run = await runRescue('--repo', copy.directory, option, file, '--out', join(out, 'tables'))

    expect(run.status).toBe(3)
    expect(await readdir(out)).toEqual(['secret'])
  })

  test('a sheet on which one letter was mistyped, names the line', async () => {
    const sheet = await readFile(join(GOLDEN, 'recovery-sheet.txt'), 'utf8')
    const line = sheet.split('\n').find((candidate) => /^\s+3 {2}/.test(candidate))!
    const typed = line.replace(/[A-Z](?=[A-Z2-7]{3} )/, (letter) => (letter === 'A' ? 'B' : 'A'))
    const file = join(out, 'sheet')
    await writeFile(file, sheet.replace(line, typed))
    await using copy = await copyGolden()

    const run = await runRescue('--repo', copy.directory, '--recovery-sheet', file, '--list')

    expect(run).toMatchObject({ status: 3, stderr: 'line 3 of the recovery sheet is missing or mistyped\n' })
  })
})

/** Where the first leaf of a table of the first golden snapshot lies. */
async function firstLeaf(table: string): Promise<{ key: string; offset: number }> {
  await using copy = await copyGolden()
  const settings = { url: `file://${copy.directory}` }
  await using repository = await openRepository(await openStore(settings), settings, (await goldenSecrets()).keyFile)
  const { manifest } = await repository.readManifest((await repository.snapshotIds())[0]!)
  const found = manifest.tables.find(({ name }) => name === table)!
  const reader = new TreeReader(tableSpec(found), repository.chunkReader(), repository.keyring.secrets)
  for await (const { place } of reader.leafEntries(found.rows)) {
    return { key: `packs/${place.packId.slice(0, 2)}/${place.packId}`, offset: place.offset }
  }
  throw new Error(`table ${table} of the golden repository has leaves`)
}
