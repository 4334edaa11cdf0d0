/** One patient by the command line: found, planned, approved by another person, put back, undone. One story. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { connectClient, runSql } from '../source/postgres/support.ts'
import { hosted, lastObject, makeSite, PASSWORD, type Site, setUpRepository } from './cli-support.ts'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const PLANTED = 'PLANTED-NOTE-丁戊己'
const PURPOSE = ['--purpose', 'request 117']
const KEY = { CHARTKEEP_KEY_PASSPHRASE: 'a passphrase of her own' }

let site: Site
let writer: string

beforeAll(async () => {
  site = hosted(await makeSite(`UPDATE note SET body = '${PLANTED}' WHERE stay_id = 103`))
  await setUpRepository(site)
  writer = site.url.replace('chartkeep@', 'chartkeep_writer@')
  const { stdout } = await site.run(['setup-sql', writer, '--writer'])
  await runSql(site.adminUrl, stdout.replaceAll(/^\\.*$/gm, ''), `ALTER ROLE chartkeep_writer PASSWORD '${PASSWORD}'`)
  const configuration = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  const indented = configuration.replace(/^( +)(url: postgres)/m, `$1writer: { url: '${writer}' }\n$1$2`)
  await site.writeFile('chartkeep.yaml', indented)
  await site.run(['backup'])
  await site.run(['key', 'create', '--role', 'approver', '--name', 'Dr. Chen', '--out', 'chen.key'], KEY)
})

afterAll(() => site?.[Symbol.asyncDispose]())

/** Rows of patient 3 (stays 102 + 12n), and of everybody, as one text each. */
async function notes(url = site.adminUrl): Promise<string[]> {
  await using client = await connectClient(url)
  const { rows } = await client.query('SELECT n::text AS line FROM note n ORDER BY 1')
  return rows.map(({ line }) => line)
}

describe('one patient', () => {
  let before: string[]
  let changeset = ''

  it('is found by label, and shown by counts', async () => {
    const found = lastObject((await site.run(['patient', 'find', 'MRN4', ...PURPOSE, '--json'])).stdout)
    const shown = lastObject((await site.run(['patient', 'show', '4', ...PURPOSE, '--json'])).stdout)
    expect(found).toMatchObject({ type: 'patient', key: '4', label: ['MRN4'] })
    expect(shown).toMatchObject({ type: 'patient', leftOut: [] })
    expect(JSON.stringify(shown)).not.toContain('MRN4')
  })

  it('is not looked at without a purpose', async () => {
    expect(await site.run(['patient', 'show', '4', '--purpose', ' '])).toMatchObject({ status: 2 })
  })

  it('is exported with sums that hold', async () => {
    const exported = await site.run(['patient', 'export', '4', '--out', 'out', ...PURPOSE, '--json'])
    expect([exported.status, exported.stderr]).toEqual([0, ''])
    const csv = await readFile(join(site.folder, 'out/public.patient.csv'), 'utf8')
    expect(csv).toBe('patient_id,mrn,name\r\n4,MRN4,name of 4\r\n')
    expect((await stat(join(site.folder, 'out'))).mode & 0o077).toBe(0)
  })

  it('is planned: nothing is changed, and no value is in the plan or on the terminal', async () => {
    before = await notes()
    await runSql(
      site.adminUrl,
      'DELETE FROM note WHERE stay_id = 103',
      "UPDATE icu_stay SET bed = 'wrong' WHERE stay_id = 103",
    )
    const view = ['--rows', '--page', 'plan.html']
    const command = ['restore', 'patient', '4', '--policy', 'changed', ...PURPOSE, '--plan', 'plan.json', ...view]
    const planned = await site.run(command)
    expect([planned.status, planned.stderr]).toEqual([0, ''])
    expect(planned.stdout).toMatch(/public\.note_20\d\d .*missing → insert/)
    expect(planned.stdout).toMatch(/bed: w\*+ → b\*+/)
    expect(planned.stdout).not.toContain(PLANTED)
    expect(await readFile(join(site.folder, 'plan.json'), 'utf8')).not.toContain('PLANTED')
    const page = await readFile(join(site.folder, 'plan.html'), 'utf8')
    expect(page).toContain('患者数据恢复方案')
    expect(page).not.toContain('PLANTED')
  })

  it('is planned for rows that are named one by one, on the line or in a file, and for nobody else’s', async () => {
    const plan = ['restore', 'patient', '4', ...PURPOSE, '--json']
    await site.writeFile('rows.tsv', `public.note\t26\t2025\n`)
    const planned = await site.run([...plan, '--only', 'public.note:2,2025', '--only-from', 'rows.tsv'])
    expect([planned.status, planned.stderr]).toEqual([0, ''])
    const { tables } = lastObject(planned.stdout) as { tables: { insert: number }[] }
    expect(tables.reduce((sum, { insert }) => sum + insert, 0)).toBe(2)
    const refused = await site.run([...plan, '--only', 'public.note:90417,2025'])
    expect(refused.status).toBe(2)
    expect(refused.stderr).toContain("1 of 1 rows of public.note are not this patient's")
    expect(refused.stderr).not.toContain('90417')
  })

  it('is put back in a copy first, to look, and that is taken back there and not in the source', async () => {
    await runSql(site.adminUrl.replace(/icu$/, 'postgres'), 'CREATE DATABASE icu_copy TEMPLATE icu')
    const copy = writer.replace(/icu$/, 'icu_copy')
    const plan = ['restore', 'patient', '4', '--policy', 'changed', ...PURPOSE, '--into', copy]
    expect((await site.run([...plan, '--plan', 'first.json'])).stderr).toBe('')
    expect((await site.run(['approve', 'first.json', '--key-file', 'chen.key'], KEY)).status).toBe(0)
    const apply = ['restore', 'patient', '--apply', 'first.json', '--yes', '--json']
    expect((await site.run(apply)).status).toBe(55)
    const applied = await site.run([...apply, '--into', copy])
    expect([applied.status, applied.stderr]).toEqual([0, ''])
    expect(await notes(site.adminUrl.replace(/icu$/, 'icu_copy'))).toEqual(before)
    expect(await notes()).not.toEqual(before)
    const undo = ['undo', String(lastObject(applied.stdout).changesetId), '--plan', 'first-undo.json']
    expect((await site.run(undo)).status).toBe(55)
    expect((await site.run([...undo, '--into', copy])).status).toBe(0)
  })

  it('is shown to the approver with its values, as a page, and that stands in the audit', async () => {
    const looked = await site.run([
      'approve',
      'plan.json',
      '--page',
      'values.html',
      '--lang',
      'en',
      '--show-values',
      '--json',
    ])
    expect([looked.status, looked.stderr]).toEqual([0, ''])
    expect(await readFile(join(site.folder, 'values.html'), 'utf8')).toContain(PLANTED)
    expect((await site.run(['audit'])).stdout).toContain('values shown')
  })

  it('is not put back before another person said yes', async () => {
    const refused = await site.run(['restore', 'patient', '--apply', 'plan.json', '--yes'])
    expect(refused).toMatchObject({ status: 55 })
    expect(refused.stderr).toContain('chartkeep approve')
    expect((await notes()).length).toBeLessThan(before.length)
  })

  it('is put back as it was when it is approved, and by no role that only reads', async () => {
    const approved = await site.run(['approve', 'plan.json', '--key-file', 'chen.key', '--json'], KEY)
    expect([approved.status, lastObject(approved.stdout).type]).toEqual([0, 'approval'])
    const applied = await site.run(['restore', 'patient', '--apply', 'plan.json', '--yes', '--json'])
    expect([applied.status, applied.stderr]).toEqual([0, ''])
    expect(lastObject(applied.stdout)).toMatchObject({ type: 'applied', updated: 1, deleted: 0 })
    expect(await notes()).toEqual(before)
    changeset = String(lastObject(applied.stdout).changesetId)
  })

  it('cannot be put back twice by one plan', async () => {
    expect(await site.run(['restore', 'patient', '--apply', 'plan.json', '--yes'])).toMatchObject({ status: 55 })
  })

  it('is undone by a plan like any other, in an emergency without approval, on the record', async () => {
    const planned = await site.run(['undo', changeset, '--plan', 'undo.json', '--json'])
    expect([planned.status, planned.stderr]).toEqual([0, ''])
    const undone = await site.run([
      'restore',
      'patient',
      '--apply',
      'undo.json',
      '--yes',
      '--emergency',
      'wrong patient',
      '--json',
    ])
    expect(lastObject(undone.stdout)).toMatchObject({
      inserted: 0,
      updated: 1,
      authorisation: { kind: 'emergency', reason: 'wrong patient' },
    })
    expect((await notes()).length).toBeLessThan(before.length)
    const audit = (await site.run(['audit'])).stdout
    for (const deed of ['patient.plan', 'patient.approve', 'patient.apply', 'wrong patient'])
      expect(audit).toContain(deed)
  })

  it('an emergency stands open until another person signs for it', async () => {
    const open = lastObject((await site.run(['status', '--json'])).stdout).emergencies as { changesetId: string }[]
    expect(open).toMatchObject([{ reason: 'wrong patient' }])
    const sign = ['approve', '--counter-sign', open[0]!.changesetId, '--key-file', 'chen.key']
    expect(await site.run(sign, KEY)).toMatchObject({ status: 0, stderr: '' })
    expect(lastObject((await site.run(['status', '--json'])).stdout).emergencies).toEqual([])
    expect((await site.run(['approve', '--counter-sign', changeset, '--key-file', 'chen.key'], KEY)).status).toBe(55)
  })

  it('a plan changed by one byte is refused', async () => {
    const plan = await readFile(join(site.folder, 'plan.json'), 'utf8')
    await site.writeFile('forged.json', plan.replace('"policy":"changed"', '"policy":"exact"'))
    expect(await site.run(['restore', 'patient', '--apply', 'forged.json', '--yes'])).toMatchObject({ status: 38 })
  })

  it('check passes with all of this in the repository, and nothing printed a value', async () => {
    const checked = await site.run(['check', '--json'])
    expect(lastObject(checked.stdout)).toMatchObject({ status: 'passed', findings: [] })
    expect([...site.printed].filter(([, text]) => text.includes('PLANTED')).map(([command]) => command)).toEqual([])
  })
})
