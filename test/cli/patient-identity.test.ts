/** From the command line: a patient who was merged, moved, deleted entirely, or numbered anew, and what is said of each. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { hosted, lastObject, makeSite, PASSWORD, type Site, setUpRepository } from './cli-support.ts'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const TABLES = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'device_log', 'note', 'drug']
const OF_STAYS = ['vital_sign', 'diagnosis', 'device_log', 'note', 'icu_stay']

let site: Site
let asOfBackup: string[]

beforeAll(async () => {
  site = hosted(await makeSite())
  await setUpRepository(site)
  const writer = site.url.replace('chartkeep@', 'chartkeep_writer@')
  const { stdout } = await site.run(['setup-sql', writer, '--writer'])
  await runSql(site.adminUrl, stdout.replaceAll(/^\\.*$/gm, ''), `ALTER ROLE chartkeep_writer PASSWORD '${PASSWORD}'`)
  const configuration = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  const withWriter = configuration.replace(/^( +)(url: postgres)/m, `$1writer: { url: '${writer}' }\n$1$2`)
  await site.writeFile('chartkeep.yaml', `approval: one-person\n${withWriter}`)
  await site.run(['backup'])
  asOfBackup = await rows()
})

afterAll(() => site?.[Symbol.asyncDispose]())

/** Every row of the database. */
async function rows(): Promise<string[]> {
  await using client = await connectClient(site.adminUrl)
  const parts = TABLES.map((table) => `SELECT '${table} ' || t::text AS line FROM ${table} t`)
  const found = await client.query(parts.join(' UNION ALL '))
  return found.rows.map(({ line }) => line).sort()
}

/** What `b` has more, and less, than `a`. */
function between(a: readonly string[], b: readonly string[]): string[] {
  const count = (list: readonly string[]) => Map.groupBy(list, (line) => line)
  const [left, right] = [count(a), count(b)]
  const lines = [...new Set([...a, ...b])].sort()
  return lines.flatMap((line) => {
    const more = (right.get(line)?.length ?? 0) - (left.get(line)?.length ?? 0)
    return more === 0 ? [] : [`${more > 0 ? '+' : '-'} ${line}`]
  })
}

type Counts = Record<'missing' | 'changed' | 'newer' | 'conflicting' | 'insert' | 'update' | 'delete', number>

async function plan(file: string, ...args: readonly string[]): Promise<Map<string, Counts>> {
  const ended = await site.run([...args, '--plan', file, '--json'])
  expect([ended.status, ended.stderr]).toEqual([0, ''])
  const { tables } = lastObject(ended.stdout) as { tables: (Counts & { name: string })[] }
  return new Map(tables.map((table) => [table.name, table]))
}

const restore = (patient: string, policy: string) => [
  'restore',
  'patient',
  patient,
  '--policy',
  policy,
  '--purpose',
  'request 9',
]

async function apply(file: string): Promise<Record<string, unknown>> {
  const ended = await site.run(['restore', 'patient', '--apply', file, '--yes', '--json'])
  expect([ended.status, ended.stderr]).toEqual([0, ''])
  return lastObject(ended.stdout)
}

it('deleted entirely: everything comes back, and goes again by the undo', async () => {
  const stays = 'stay_id IN (SELECT stay_id FROM icu_stay WHERE patient_id = 5)'
  await runSql(
    site.adminUrl,
    ...OF_STAYS.map((table) => `DELETE FROM ${table} WHERE ${stays}`),
    'DELETE FROM patient WHERE patient_id = 5',
  )
  const before = await rows()
  await plan('deleted.json', ...restore('5', 'missing'))
  const { changesetId } = await apply('deleted.json')
  expect(between(asOfBackup, await rows())).toEqual([])
  await plan('undo.json', 'undo', String(changesetId))
  await apply('undo.json')
  expect(between(before, await rows())).toEqual([])
  await plan('again.json', ...restore('5', 'missing'))
  await apply('again.json')
})

it('merged into another: the patient comes back, the stays are said to be somebody else’s now and stay there', async () => {
  await runSql(
    site.adminUrl,
    'UPDATE icu_stay SET patient_id = 4 WHERE patient_id = 3',
    'DELETE FROM patient WHERE patient_id = 3',
  )
  const before = await rows()
  const tables = await plan('merged.json', ...restore('3', 'exact'))
  expect(tables.get('public.icu_stay')).toMatchObject({ conflicting: 2, update: 0 })
  expect(await apply('merged.json')).toMatchObject({ inserted: 1, updated: 0, deleted: 0 })
  expect(between(before, await rows())).toEqual(['+ patient (3,MRN3,"name of 3")'])
  // Of the one who got them they are no rows that came since, to be taken out.
  const other = await plan('other.json', ...restore('4', 'exact'))
  expect(other.get('public.icu_stay')).toMatchObject({ conflicting: 2, delete: 0 })
})

it('of whom one stay was moved to another: nothing is taken from there, and that is the answer', async () => {
  await runSql(site.adminUrl, 'UPDATE icu_stay SET patient_id = 7 WHERE stay_id = 105')
  const before = await rows()
  const tables = await plan('moved.json', ...restore('6', 'changed'))
  expect(tables.get('public.icu_stay')).toMatchObject({ conflicting: 1, update: 0 })
  const refused = await site.run(['restore', 'patient', '--apply', 'moved.json', '--yes'])
  expect(refused.status).toBe(55)
  expect(refused.stderr).toContain('has nothing to write')
  expect(between(before, await rows())).toEqual([])
})

it('numbered anew: the old number comes back without what the new one has', async () => {
  await runSql(
    site.adminUrl,
    "INSERT INTO patient VALUES (88, 'MRN8', 'name of 8')",
    'UPDATE icu_stay SET patient_id = 88 WHERE patient_id = 8',
    'DELETE FROM patient WHERE patient_id = 8',
  )
  const before = await rows()
  const tables = await plan('renumbered.json', ...restore('8', 'exact'))
  expect(tables.get('public.icu_stay')).toMatchObject({ conflicting: 2, update: 0 })
  await apply('renumbered.json')
  expect(between(before, await rows())).toEqual(['+ patient (8,MRN8,"name of 8")'])
  const unknown = await site.run([...restore('88', 'exact'), '--json'])
  expect(unknown.status).toBe(2)
  expect(unknown.stderr).toContain('nobody had this key')
})

it('merged into another, and both are named: everything goes back, told of both, and is merged again by the undo', async () => {
  const start = await rows()
  await runSql(
    site.adminUrl,
    'UPDATE icu_stay SET patient_id = 1 WHERE patient_id = 2',
    'DELETE FROM patient WHERE patient_id = 2',
  )
  const before = await rows()
  const ask = ['unmerge', '2', '1', '--purpose', 'request 10', '--plan', 'apart.json']
  const terminal = await site.run([...ask, '--page', 'apart.html', '--lang', 'en', '--rows'])
  expect([terminal.status, terminal.stderr]).toEqual([0, ''])
  const pseudonyms = terminal.stdout.match(/P-[A-Z2-7]{16}/g)!.slice(0, 2)
  expect(new Set(pseudonyms).size).toBe(2)
  for (const pseudonym of pseudonyms) expect(terminal.stdout).toContain(`patient   ${pseudonym}`)
  expect(terminal.stdout).toContain('kind      unmerge, policy missing')
  expect(terminal.stdout).toContain(`goes      2 rows go to ${pseudonyms[0]}`)
  expect(terminal.stdout).toContain(`public.icu_stay  moved → update, goes to ${pseudonyms[0]}`)
  const page = await readFile(join(site.folder, 'apart.html'), 'utf8')
  expect(page).toContain('Plan to take a wrong merge of two patients apart')
  for (const pseudonym of pseudonyms) expect(page).toContain(`<code>${pseudonym}</code>`)

  const { changesetId } = await apply('apart.json')
  expect(between(start, await rows())).toEqual([])
  const { stdout } = await site.run(['audit', '--json'])
  const told = (deed: string) => stdout.split('\n').filter((line) => line.includes(`"${deed}"`))
  for (const pseudonym of pseudonyms) {
    expect(told('patient.plan-unmerge').filter((line) => line.includes(pseudonym))).toHaveLength(1)
  }
  const applied = told('patient.apply').slice(-2)
  expect(applied.map((line) => [String(changesetId), ...pseudonyms].find((name) => line.includes(name)))).toEqual([
    changesetId,
    pseudonyms[1],
  ])

  const tables = await plan('together.json', 'undo', String(changesetId))
  expect(tables.get('public.icu_stay')).toMatchObject({ update: 2 })
  await apply('together.json')
  expect(between(before, await rows())).toEqual([])
  const wrong = await site.run(['unmerge', '2', '1', '--policy', 'exact', '--purpose', 'request 10'])
  expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining('there is no policy exact')])
  await plan('apart-again.json', 'unmerge', '1', '2', '--purpose', 'request 10')
  await apply('apart-again.json')
  expect(between(start, await rows())).toEqual([])
})
