/**
 * A certificate of the small hospital with its package, and one patient's proof: what tests and soak change byte by byte.
 */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { encodeKey } from '../../../src/repository/tree/key.ts'
import { type IssuedCertificate, issueCertificate } from '../../../src/verify/certificate/issue.ts'
import { packageCertificate } from '../../../src/verify/certificate/package.ts'
import { packagePatient } from '../../../src/verify/certificate/patient-package.ts'
import { printCertificate } from '../../../src/verify/certificate/print/print.ts'
import { withSums } from '../../../src/verify/certificate/seal.ts'
import { verifyFiles } from '../../../src/verify/certificate/verify/verify.mjs'
import { onDatabase } from '../../restore/patient/small-ward.ts'
import { makeRepository, never, type TestRepository } from '../../support/repository.ts'
import { asApplication, HOSPITAL_RULES, openHospital } from './small-hospital.ts'

export type Files = Map<string, Uint8Array>

export interface IssuedPackage extends AsyncDisposable {
  readonly repository: Repository
  readonly issued: IssuedCertificate
  readonly files: Files
  /** Of patient 3. */
  readonly patient: Files
  /** The copy that the certificate was tried on, which a hospital would have thrown away. */
  readonly copyUrl: string
  /** Another certificate about the same. */
  again(): Promise<Files>
}

export async function issuePackage(): Promise<IssuedPackage> {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await startPostgres())
  const made = stack.use(await makeRepository())
  const url = await server.createDatabase('hospital')
  const hospital = stack.use(await openHospital(made, url))
  const baseline = await hospital.snapshot()
  await onDatabase(url, asApplication('delete', 'vital_sign', 9, 'DELETE FROM vital_sign WHERE vital_id = 970'))
  await onDatabase(url, 'UPDATE vital_sign SET value = 1 WHERE vital_id = 1')
  await hospital.caughtUp()
  const end = await hospital.snapshot()
  const repository = await made.open()
  const ends = { baseline: baseline.snapshotId, end: end.snapshotId }
  const { issued, copyUrl } = await issue(server, made, repository, ends)
  const files = await packageCertificate(repository, issued, printCertificate)
  const { files: patient } = await packagePatient(repository, files, patientOf(repository, '3'))
  const own = stack.move()
  return {
    repository,
    issued,
    files,
    patient,
    copyUrl,
    again: async () => {
      const other = await issue(server, made, repository, ends)
      return await packageCertificate(repository, other.issued, printCertificate)
    },
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  }
}

let copies = 0

/** A second goes by with every look. */
function movingClock(): () => number {
  let nowMs = Date.UTC(2026, 10, 23)
  return () => {
    nowMs += 1000
    return nowMs
  }
}

async function issue(
  server: PostgresServer,
  made: TestRepository,
  repository: Repository,
  ends: { readonly baseline: string; readonly end: string },
): Promise<{ readonly issued: IssuedCertificate; readonly copyUrl: string }> {
  copies += 1
  const copyUrl = await server.createDatabase(`copy_${copies}`)
  const issued = await issueCertificate({
    repository,
    baseline: await repository.readManifest(ends.baseline),
    end: await repository.readManifest(ends.end),
    rules: HOSPITAL_RULES,
    organisation: '某市第一医院',
    system: '重症临床信息管理系统',
    sampleSeed: '2026年验收 第1次抽样',
    sample: { rows: 200, patients: 3 },
    openScratch: async () => {
      return { connection: { url: copyUrl }, server: 'a test server', [Symbol.asyncDispose]: async () => {} }
    },
    buildPool: made.pool,
    drills: [],
    nowMs: movingClock(),
    random: randomBytes,
    signal: never(),
    onProgress: () => {},
  })
  return { issued, copyUrl }
}

export function patientOf(repository: Repository, key: string) {
  return { key: Buffer.from(key), pseudonym: repository.keyring.pseudonym(encodeKey([Buffer.from(key)])) }
}

/** What verify.mjs of this checkout says: null when it verifies. */
export function problemOf(files: Files): string | null {
  try {
    verifyFiles(new Map([...files].map(([name, bytes]) => [name, Buffer.from(bytes)])))
    return null
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown'
  }
}

/** One bit of one byte of one file, with SHA256SUMS as it was or made anew. @returns what was accepted all the same */
export function acceptedChanges(files: Files, names: readonly string[], tries: { numRuns: number; seed?: number }) {
  const place = fc.record({
    name: fc.constantFrom(...names),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    bit: fc.nat(7),
    resummed: fc.boolean(),
  })
  const check = fc.property(place, ({ name, at, bit, resummed }) => {
    const bytes = Buffer.from(files.get(name)!)
    bytes[Math.floor(at * bytes.length)]! ^= 1 << bit
    const damaged = new Map([...files, [name, bytes]])
    return problemOf(resummed && name !== 'SHA256SUMS' ? withSums(damaged) : damaged) !== null
  })
  return fc.check(check, tries).counterexample
}
