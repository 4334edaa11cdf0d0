/** A certificate from the command line: issued, verified, countersigned, and one patient proved against it. */
import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runSql } from '../source/postgres/support.ts'
import { hosted, lastObject, makeSite, type Site, setUpRepository } from './cli-support.ts'

// Processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let site: Site
let issued: Record<string, unknown>

beforeAll(async () => {
  site = hosted(await makeSite())
  await setUpRepository(site)
  await site.run(['backup', '--json'])
  await runSql(site.adminUrl, 'DELETE FROM vital_sign WHERE id <= 3', `INSERT INTO drug VALUES ('D51', 'another')`)
  await site.run(['backup', '--json'])
  const issue = ['certificate', 'issue', '--out', 'c', '--sample-seed', '417', '--lang', 'zh', '--json']
  issued = lastObject((await site.run(issue)).stdout)
})

afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
})

test('issue counts what is gone, tries a copy on a server of its own, and leaves a package that verifies', async () => {
  const { opinion, exceptions } = issued as { opinion: { verdict: string; because: string[] }; exceptions: number }
  const verified = await site.run(['certificate', 'verify', 'c'])
  const certificate = JSON.parse(await readFile(join(site.folder, 'c', 'certificate.json'), 'utf8'))

  expect(opinion).toEqual({ verdict: 'qualified', because: ['unexplained', 'no-drill'] })
  expect(exceptions).toBe(2)
  expect(certificate.demonstrations.map(({ failures }: { failures: number }) => failures)).toEqual([0, 0, 0, 0])
  expect([verified.status, verified.stdout]).toEqual([0, expect.stringContaining('opinion qualified (保留)')])
})

test('countersign adds a signature that verify names, and nothing that was changed is countersigned', async () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  await site.writeFile('hospital.pem', privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  const sign = ['certificate', 'countersign', 'c', '--key-file', 'hospital.pem', '--name', 'Li Wei']
  const signed = await site.run(sign)
  const verified = await site.run(['certificate', 'verify', 'c'])
  const csv = join(site.folder, 'c', 'tables.csv')
  const whole = await readFile(csv)
  await writeFile(csv, Buffer.concat([whole, Buffer.from(' ')]))
  const refused = await site.run(sign)
  await writeFile(csv, whole)

  expect(signed.status).toBe(0)
  expect(verified.stdout).toContain('signed    Li Wei')
  expect([refused.status, refused.stderr]).toEqual([38, expect.stringContaining('tables.csv')])
})

test('prove-patient writes a proof that verifies, and wants a purpose', async () => {
  const prove = ['certificate', 'prove-patient', '3', '--certificate', 'c', '--out', 'p', '--json', '--purpose']
  const refused = await site.run([...prove, ' '])
  const proved = lastObject((await site.run([...prove, 'court order 12'])).stdout)
  const verified = await site.run(['certificate', 'verify', 'p'])

  expect(refused.status).toBe(2)
  expect(proved.rows).toBeGreaterThan(10)
  expect(verified.stdout).toContain(`verified  proof of patient ${proved.patient}, ${proved.rows} rows`)
})

test('a rule about what is not there is refused before anything is read', async () => {
  const configuration = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  await site.writeFile(
    'wrong.yaml',
    configuration.replace(/(\n +)(url: postgres[^\n]*)/, '$1$2$1explain: { mayChange: [public.nothing] }'),
  )
  const issue = ['certificate', 'issue', '--config', 'wrong.yaml', '--out', 'd', '--sample-seed', '1', '--no-copy']
  const refused = await site.run(issue)

  expect([refused.status, refused.stderr]).toEqual([3, expect.stringContaining('public.nothing')])
})
