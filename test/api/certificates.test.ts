/** A certificate as the service issues it at night: a job makes it, the API gives it, and it verifies where it is unpacked. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { parseConfiguration } from '../../src/config.ts'
import { CERTIFICATE_PREFIX } from '../../src/repository/layout.ts'
import type { JobResult } from '../../src/service/contract.ts'
import { certificateKind } from '../../src/service/kinds/certificate.ts'
import { openSource } from '../../src/source/open.ts'
import { keptPackage } from '../../src/verify/certificate/kept.ts'
import { onDatabase } from '../restore/patient/small-ward.ts'
import { toLayout } from '../support/layout.ts'
import { makeRepository, never, type TestRepository, whileDamaged } from '../support/repository.ts'
import { makeApi, START_MS, type TestApi } from './support.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const LAYOUT = { patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] }, anchors: {}, categories: {} }
const SCHEMA = `CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text);
  INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, 30) n`

let server: PostgresServer
let made: TestRepository
let api: TestApi
let result: JobResult
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chartkeep-certificates-'))
  server = await startPostgres()
  made = await makeRepository()
  const url = await server.createDatabase('ward')
  await onDatabase(url, SCHEMA)
  await using source = await openSource({ url })
  await made.snapshot(source, toLayout({ ...LAYOUT, exclude: [] }), START_MS - 120_000)
  await onDatabase(url, 'DELETE FROM patient WHERE patient_id = 7')
  await made.snapshot(source, toLayout({ ...LAYOUT, exclude: [] }), START_MS - 60_000)
  api = await makeApi({ repository: made.repository })
  result = await issued(url)
})
afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

async function issued(url: string): Promise<JobResult> {
  const file = JSON.stringify({ repository: { url: 'file:///nowhere' }, sources: { icu: { url, ...LAYOUT } } })
  const { sources } = parseConfiguration(file, { path: 'test.yaml' })
  const kind = certificateKind({
    sources,
    openSource: async () => await openSource({ url }),
    connectionOf: async () => ({ url }),
    scratchOf: async () => null,
    retention: { rules: new Map(), graceMs: 0 },
    scrubBytesMax: null,
    nowMs: () => START_MS,
    sleep: async () => {},
    random: randomBytes,
    host: 'here',
    temporaryDirectory: tmpdir(),
  })
  const { repository } = made
  return await kind.run({ repository, source: 'icu', signal: never(), assertHeld: () => {}, onEvent: () => {} })
}

async function bytesOf(path: string): Promise<Buffer> {
  const token = await api.token('viewer')
  const answer = await api.api.request(path, { headers: { Authorization: `Bearer ${token}` } })
  return Buffer.from(await answer.arrayBuffer())
}

describe('a certificate of the service', () => {
  it('says what it found: a row that went, and nothing that accounts for it', () => {
    expect(result).toMatchObject({ verdict: 'failed', made: expect.stringMatching(/^CK-/), findingCount: 1 })
    expect(result.findings[0]).toMatchObject({ kind: 'certificate-opinion', tables: ['public.patient'] })
    expect(result.findings[0]!.message).toContain('adverse')
  })

  it('is listed, shown and printed as its package has it', async () => {
    const files = await keptPackage(made.repository, result.made!)
    const { json } = await api.ask('/v1/certificates', { token: await api.token('viewer') })
    const path = `/v1/certificates/${result.made}`

    expect(json.certificates).toMatchObject([{ number: result.made, opinion: { verdict: 'adverse' } }])
    expect(await bytesOf(path)).toEqual(files.get('certificate.json'))
    for (const language of ['zh', 'en']) {
      expect(await bytesOf(`${path}/pdf?language=${language}`)).toEqual(files.get(`certificate.${language}.pdf`))
    }
  })

  it('verifies where its package is unpacked, by tar and Node alone', async () => {
    const tar = await bytesOf(`/v1/certificates/${result.made}/package`)
    execFileSync('tar', ['-xf', '-', '-C', folder], { input: tar })
    for (const [name, bytes] of await keptPackage(made.repository, result.made!)) {
      expect(await readFile(join(folder, name)), name).toEqual(bytes)
    }
    const said = execFileSync(process.execPath, ['verify.mjs'], { cwd: folder, encoding: 'utf8' })

    expect(said).toContain(result.made)
  })

  it('that is damaged is named in the list, and hides no other', async () => {
    const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)
    const { status, json } = await whileDamaged(made.directory, CERTIFICATE_PREFIX + result.made!, cut, async () => {
      return await api.ask('/v1/certificates', { token: await api.token('viewer') })
    })

    expect([status, json]).toEqual([200, { certificates: [], damaged: [result.made] }])
  })

  it('that is not there is not found', async () => {
    const { status, json } = await api.ask('/v1/certificates/CK-20260101T000000Z-00000000', {
      token: await api.token('viewer'),
    })

    expect([status, json.code]).toEqual([404, 'not-found'])
  })
})
