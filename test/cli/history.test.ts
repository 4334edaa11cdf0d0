/**
 * What happened, as somebody types it: a record, a table, a patient; restores of ours are named; every change is a target,
 * and no value is shown that nobody asked for.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { CaptureProcess } from './capture-process.ts'
import { hosted, lastObject, makeSite, PASSWORD, type Site, setUpRepository } from './cli-support.ts'

// Processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const PURPOSE = ['--purpose', 'request 117']
const PLANTED = 'PLANTED-NOTE-丁戊己'

let site: Site
let capturing: CaptureProcess

beforeAll(async () => {
  site = hosted(
    await makeSite(
      `ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`,
      'SELECT pg_reload_conf()',
      `UPDATE note SET body = '${PLANTED}' WHERE stay_id = 103`,
    ),
  )
  await setUpRepository(site)
  const writer = site.url.replace('chartkeep@', 'chartkeep_writer@')
  const { stdout } = await site.run(['setup-sql', writer, '--writer'])
  await runSql(site.adminUrl, stdout.replaceAll(/^\\.*$/gm, ''), `ALTER ROLE chartkeep_writer PASSWORD '${PASSWORD}'`)
  const configuration = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  await site.writeFile(
    'chartkeep.yaml',
    `approval: one-person\n${configuration.replace(/^( +)(url: postgres)/m, `$1writer: { url: '${writer}' }\n$1$2`)}`,
  )
  capturing = await CaptureProcess.start(site)
  await site.run(['backup'])
  await runSql(
    site.adminUrl,
    'DELETE FROM note WHERE stay_id = 103',
    `UPDATE icu_stay SET bed = 'b' WHERE stay_id = 103`,
  )
  await site.run(['restore', 'patient', '4', '--at', 'latest', ...PURPOSE, '--plan', 'plan.json'])
  await site.run(['restore', 'patient', '--apply', 'plan.json', '--yes'])
  // Its read makes the change log catch up.
  await site.run(['backup'])
})

afterAll(async () => {
  await capturing?.[Symbol.asyncDispose]()
  await site?.[Symbol.asyncDispose]()
})

function objects(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function notes(url: string): Promise<string[]> {
  await using client = await connectClient(url)
  const { rows } = await client.query('SELECT n::text AS line FROM note n ORDER BY 1')
  return rows.map(({ line }) => line)
}

test('a patient’s timeline has the accident by category, and the restore by its name', async () => {
  const [told, read] = await Promise.all([
    site.run(['patient', 'timeline', '4', ...PURPOSE, '--json']),
    site.run(['patient', 'timeline', '4', ...PURPOSE, '--rows']),
  ])

  expect([told.status, told.stderr]).toEqual([0, ''])
  const entries = objects(told.stdout).filter(({ type }) => type === 'change')
  expect(
    entries.map(({ counts }) => (counts as { deleted: number }[]).reduce((sum, each) => sum + each.deleted, 0)),
  ).toEqual([9, 0, 0])
  expect(entries.map(({ ours }) => (ours as { kind: string } | undefined)?.kind)).toEqual([
    undefined,
    undefined,
    'restore',
  ])
  expect(read.stdout).toMatch(/restore \S+ by \S+, one person/)
  expect(read.stdout).toMatch(/bed: b\*+ → \*/)
  expect(read.stdout).not.toContain('PLANTED')
})

test('a record’s history is masked, and read with a purpose only', async () => {
  const masked = await site.run(['history', 'public.icu_stay', '103'])
  const refused = await site.run(['history', 'public.icu_stay', '103', '--values'])
  const told = await site.run(['history', 'public.icu_stay', '103', '--values', ...PURPOSE, '--json'])
  const audit = await site.run(['audit'])

  expect(masked.stdout).toMatch(/update {3}public\.icu_stay stay_id=1\*\* R-/)
  expect(refused.status).toBe(2)
  expect(objects(told.stdout)[0]).toMatchObject({
    type: 'event',
    kind: 'update',
    key: { stay_id: '103' },
    columns: [{ name: 'bed', before: 'bed 3', after: 'b' }],
  })
  expect(audit.stdout).toContain('history.record')
})

test('the moment just before a change gives back what it took: the database, and the patient', async () => {
  const changes = await site.run(['changes', '--table', 'public.note', '--json'])
  const { change } = objects(changes.stdout).find(({ kind }) => kind === 'delete')!
  const into = await site.server.createDatabase('before_it')

  const restored = await site.run(['restore', 'database', '--at', `before:${change}`, '--into', into, '--json'])
  const compared = await site.run(['compare', '--at', `before:${change}`, '--against', into, '--json'])
  const found = await site.run(['patient', 'find', 'MRN4', '--at', `before:${change}`, ...PURPOSE, '--json'])

  expect([restored.status, lastObject(compared.stdout).status]).toEqual([0, 'passed'])
  const given = await notes(into)
  expect(given).toEqual(await notes(site.adminUrl))
  expect(given.filter((line) => line.includes(PLANTED))).toHaveLength(9)
  expect(lastObject(found.stdout)).toMatchObject({ key: '4' })
  // But for those that were asked for with a purpose.
  expect([...site.printed].filter(([, text]) => text.includes('PLANTED')).map(([command]) => command)).toEqual([])
})
