/**
 * The package in the hands of somebody who has nothing but Node 20: verified as it is, refused after any change, and one
 * patient's proof without anybody else's data.
 */
import { execFile } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import type { Certificate } from '../../../src/verify/certificate/document.ts'
import { type IssuedCertificate, issueCertificate } from '../../../src/verify/certificate/issue.ts'
import { packageCertificate } from '../../../src/verify/certificate/package.ts'
import { packagePatient } from '../../../src/verify/certificate/patient-package.ts'
import { printCertificate } from '../../../src/verify/certificate/print/print.ts'
import { countersign, withSums } from '../../../src/verify/certificate/seal.ts'
import { verifyDirectory } from '../../../src/verify/certificate/verify/verify.mjs'
import { onDatabase } from '../../restore/patient/small-ward.ts'
import type { CapturedDatabase } from '../../support/capture-by-hand.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { asApplication, HOSPITAL_RULES, openHospital } from './small-hospital.ts'

type Files = Map<string, Uint8Array>

let server: PostgresServer
let made: TestRepository
let hospital: CapturedDatabase
let repository: Repository
let issued: IssuedCertificate
let files: Files
let patient: Files
let scratch: string
let copies = 0

beforeAll(async () => {
  server = await startPostgres()
  made = await makeRepository()
  scratch = await mkdtemp(join(tmpdir(), 'chartkeep-certificate-'))
  const url = await server.createDatabase('hospital')
  hospital = await openHospital(made, url)
  const baseline = await hospital.snapshot()
  await onDatabase(url, asApplication('delete', 'vital_sign', 9, 'DELETE FROM vital_sign WHERE vital_id = 970'))
  await onDatabase(url, 'UPDATE vital_sign SET value = 1 WHERE vital_id = 1')
  await hospital.caughtUp()
  const end = await hospital.snapshot()
  repository = await made.open()
  issued = await issue(baseline.snapshotId, end.snapshotId)
  files = await packageCertificate(repository, issued, printCertificate)
  if (process.env.CHARTKEEP_KEEP) {
    for (const [name, bytes] of files)
      if (name.endsWith('.pdf') || name.endsWith('.md')) await writeFile(join(process.env.CHARTKEEP_KEEP, name), bytes)
  }
  patient = (await packagePatient(repository, files, patientOf('3'))).files
}, 120_000)

afterAll(async () => {
  await hospital?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(scratch, { recursive: true, force: true })
})

async function issue(baseline: string, end: string): Promise<IssuedCertificate> {
  return await issueCertificate({
    repository,
    baseline: await repository.readManifest(baseline),
    end: await repository.readManifest(end),
    rules: HOSPITAL_RULES,
    organisation: '某市第一医院',
    system: '重症临床信息管理系统',
    sampleSeed: '2026年验收 第1次抽样',
    sample: { rows: 200, patients: 3 },
    openScratch: async () => {
      copies += 1
      const url = await server.createDatabase(`copy_${copies}`)
      return { connection: { url }, server: 'a test server', [Symbol.asyncDispose]: async () => {} }
    },
    buildPool: made.pool,
    drills: [],
    nowMs: () => Date.UTC(2026, 10, 23),
    random: randomBytes,
    signal: never(),
    onProgress: () => {},
  })
}

function patientOf(key: string) {
  return { key: Buffer.from(key), pseudonym: repository.keyring.pseudonym(encodeKey([Buffer.from(key)])) }
}

async function write(package_: Files): Promise<string> {
  const directory = await mkdtemp(join(scratch, 'package-'))
  for (const [name, bytes] of package_) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), bytes)
  }
  return directory
}

/** What verify.mjs of this checkout says of other bytes: null when it verifies. */
async function problemOf(package_: Files): Promise<string | null> {
  const directory = await write(package_)
  try {
    verifyDirectory(directory)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown'
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** On the machine's own Node, 20 or later, which knows nothing of this project. */
async function runPlainNode(directory: string): Promise<{ status: number; out: string }> {
  const node = process.env.CHARTKEEP_PLAIN_NODE ?? '/usr/bin/env'
  const words = node === '/usr/bin/env' ? ['-i', `PATH=${process.env.PATH}`, 'node', 'verify.mjs'] : ['verify.mjs']
  return await new Promise((resolve) => {
    execFile(node, words, { cwd: directory }, (error, out) => resolve({ status: error ? Number(error.code) : 0, out }))
  })
}

function changed(package_: Files, name: string, change: (bytes: Buffer) => void): Files {
  const bytes = Buffer.from(package_.get(name)!)
  change(bytes)
  return new Map([...package_, [name, bytes]])
}

describe('a certificate', () => {
  it('shows what was planted and what was done, and that the copy can be used', () => {
    const { certificate } = issued

    expect(certificate.opinion).toEqual({ verdict: 'qualified', because: ['unexplained', 'no-drill'] })
    expect(certificate.demonstrations.map(({ statement, isDone, failures }) => [statement, isDone, failures])).toEqual([
      ['look-up', true, 0],
      ['retrieve', true, 0],
      ['count', true, 0],
      ['export', true, 0],
    ])
    expect(certificate.exceptions.map((each) => [each.class, each.table, each.month, each.count])).toEqual([
      ['unexplained-update', 'public.vital_sign', '2026-01', 1],
      ['changed-after-closing', 'public.vital_sign', '2026-01', 1],
      ['series-lost', 'public.vital_sign', '2026-02', 1],
      ['no-drill', null, null, 0],
    ])
    expect(certificate.exceptions[0]?.patients).toEqual([patientOf('1').pseudonym])
  })

  it('is verified in a directory of its own by plain Node, and says its opinion', async () => {
    const found = await runPlainNode(await write(files))

    expect(found.out).toContain(`verified  certificate ${issued.certificate.number}, opinion qualified (保留)`)
    expect(found.status).toBe(0)
  })

  it('is verified when the hospital has signed too, and not when that signature is of another package', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const signed = countersign(files, { name: '信息科', key: privateKey, nowMs: 0 })
    const other = countersign(patient, { name: '信息科', key: privateKey, nowMs: 0 })
    const name = 'countersignatures/01.json'

    expect(await problemOf(signed)).toBeNull()
    expect(await problemOf(withSums(new Map([...files, [name, other.get(name)!]])))).toBe(
      `${name} is of another package`,
    )
    await refusesEveryChange(signed, [name], 20)
  })

  it('is refused after any byte of it was changed, also where the sums were made to fit', async () => {
    await refusesEveryChange(files, [...files.keys()], 150)
  })

  it('is refused when a file is missing, added, or taken from another certificate', async () => {
    const other = await packageCertificate(
      repository,
      await issue(issued.baseline.manifest.snapshotId, issued.end.manifest.snapshotId),
      async (_, sha256) => {
        return new Map([['certificate.zh.pdf', Buffer.from(`%PDF sha256:${sha256}`)]])
      },
    )
    for (const name of files.keys()) {
      const without = new Map(files)
      without.delete(name)
      expect(await problemOf(name === 'SHA256SUMS' ? without : withSums(without)), name).not.toBeNull()
    }
    for (const name of ['certificate.json', 'certificate.zh.pdf', 'seal.json']) {
      expect(await problemOf(withSums(new Map([...files, [name, other.get(name)!]]))), name).not.toBeNull()
    }
    expect(await problemOf(withSums(new Map([...files, ['extra.txt', Buffer.from('x')]])))).toContain('extra.txt')
  })

  it('that an agent signed is refused all the same when it does not follow from its own numbers', async () => {
    const wrong: ((certificate: Certificate) => Certificate)[] = [
      (c) => ({ ...c, opinion: { verdict: 'unqualified', because: [] } }),
      (c) => ({ ...c, balance: c.balance.map((line, index) => (index === 0 ? { ...line, now: line.now + 1 } : line)) }),
      (c) => ({ ...c, balance: c.balance.slice(1) }),
      (c) => ({ ...c, exceptions: c.exceptions.slice(1) }),
      (c) => ({ ...c, reasons: c.reasons.filter(({ reason }) => reason !== 'none') }),
      (c) => ({ ...c, tables: c.tables.slice(1) }),
      (c) => ({ ...c, end: { ...c.end, rows: c.end.rows + 1 } }),
      (c) => ({ ...c, baseline: c.end }),
      (c) => ({
        ...c,
        demonstrations: c.demonstrations.map((each) => ({ ...each, upperBound: Math.max(0, each.upperBound - 1) })),
      }),
      (c) => ({ ...c, ledger: { ...c.ledger, root: Buffer.alloc(32).toString('base64') } }),
    ]
    for (const [index, change] of wrong.entries()) {
      const certificate = change(issued.certificate)
      const made_ = await packageCertificate(repository, { ...issued, certificate }, async () => new Map())
      expect(await problemOf(made_), `change ${index}`).not.toBeNull()
    }
  })
})

describe("one patient's proof", () => {
  it('is verified by the same file, and holds the rows that the database has', async () => {
    const found = await runPlainNode(await write(patient))
    const lines = [...patient]
      .filter(([name]) => name.startsWith('rows/'))
      .flatMap(([, bytes]) => `${Buffer.from(bytes)}`.split('\n'))

    expect(found.out).toContain(`verified  proof of patient ${patientOf('3').pseudonym}`)
    // The patient, two stays of 120 hours, four documents, six orders, ten alarms, and an end of line for each table.
    expect(lines.filter((line) => line !== '').length).toBe(1 + 2 + 240 + 4 + 6 + 10)
  })

  it('has nothing of anybody else: no key, no value, no pseudonym, no certificate.json', () => {
    const text = [...patient].map(([, bytes]) => Buffer.from(bytes).toString('latin1')).join('\n')
    const others = [1, 2, 4, 5, 6].map((key) => patientOf(String(key)).pseudonym)

    expect(others.filter((pseudonym) => text.includes(pseudonym))).toEqual([])
    expect(text).not.toMatch(/\bM[12456]\b|text of (1|2|3|4|7)\b/)
    expect(patient.has('certificate.json')).toBe(false)
  })

  it('is refused after any byte of it was changed, also where the sums were made to fit', async () => {
    await refusesEveryChange(patient, [...patient.keys()], 150)
  })
})

/** One byte of one file, with SHA256SUMS as it was or made anew. */
async function refusesEveryChange(package_: Files, names: readonly string[], numRuns: number): Promise<void> {
  const place = fc.record({
    name: fc.constantFrom(...names),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    bit: fc.nat(7),
    resummed: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(place, async ({ name, at, bit, resummed }) => {
      const damaged = changed(package_, name, (bytes) => {
        bytes[Math.floor(at * bytes.length)]! ^= 1 << bit
      })
      const whole = resummed && name !== 'SHA256SUMS' ? withSums(damaged) : damaged
      expect(await problemOf(whole)).not.toBeNull()
    }),
    { numRuns },
  )
}

it('verify.mjs is the file that stands in the package', async () => {
  const own = fileURLToPath(new URL('../../../src/verify/certificate/verify/verify.mjs', import.meta.url))
  expect(Buffer.from(files.get('verify.mjs')!).equals(await readFile(own))).toBe(true)
})
