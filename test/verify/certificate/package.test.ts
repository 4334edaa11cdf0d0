/**
 * The package in the hands of somebody who has nothing but Node 20: verified as it is, refused after any change, and one
 * patient's proof without anybody else's data.
 */
import { execFile } from 'node:child_process'
import { createHash, createHmac, generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BalanceLine, Certificate, Demonstration, TableFacts } from '../../../src/verify/certificate/document.ts'
import { type LeafPath, tablesRoot } from '../../../src/verify/certificate/merkle-tables.ts'
import { packageCertificate } from '../../../src/verify/certificate/package.ts'
import type { PatientProof } from '../../../src/verify/certificate/patient-proof.ts'
import { countersign, withSums } from '../../../src/verify/certificate/seal.ts'
import { acceptedChanges, type Files, type IssuedPackage, issuePackage, patientOf, problemOf } from './package-rig.ts'

let rig: IssuedPackage
let scratch: string

beforeAll(async () => {
  rig = await issuePackage()
  scratch = await mkdtemp(join(tmpdir(), 'chartkeep-certificate-'))
}, 120_000)

afterAll(async () => {
  await rig?.[Symbol.asyncDispose]()
  await rm(scratch, { recursive: true, force: true })
})

/** Of the machine's own programs: npm puts the Node of this checkout in front, and an auditor has none. */
const OWN_PROGRAMS = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'))

/** On the machine's own Node, 20 or later, in a directory that has nothing but the package. */
async function runPlainNode(files: Files): Promise<Run> {
  return await runInside(await laidOut(files), 'node', 'verify.mjs')
}

interface Run {
  readonly status: number
  readonly out: string
}

async function laidOut(files: Files): Promise<string> {
  const directory = await mkdtemp(join(scratch, 'package-'))
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), bytes)
  }
  return directory
}

async function runInside(directory: string, ...words: readonly string[]): Promise<Run> {
  const environment = ['-i', `PATH=${OWN_PROGRAMS.join(':')}`]
  return await new Promise((resolve) => {
    execFile('/usr/bin/env', [...environment, ...words], { cwd: directory }, (error, out) => {
      resolve({ status: error ? Number(error.code) : 0, out })
    })
  })
}

function hasPrograms(...names: readonly string[]): boolean {
  return names.every((name) => OWN_PROGRAMS.some((folder) => existsSync(join(folder, name))))
}

function pageOf(files: Files): string {
  return Buffer.from(files.get('README_验证说明.md')!).toString('utf8')
}

/** By RFC 9162, 2.1.3.2. @returns hex */
function upTo(leaf: string, { index, size, path }: LeafPath): string {
  let [digest, at, last] = [Buffer.from(leaf, 'hex'), index, size - 1]
  for (const beside of path.map((hex) => Buffer.from(hex, 'hex'))) {
    const isRight = at % 2 === 1 || at === last
    const pair = isRight ? [beside, digest] : [digest, beside]
    while (isRight && at % 2 === 0 && at > 0) [at, last] = [at >> 1, last >> 1]
    digest = createHash('sha256').update(Buffer.of(1)).update(Buffer.concat(pair)).digest()
    ;[at, last] = [at >> 1, last >> 1]
  }
  return digest.toString('hex')
}

function damagedFiles(): Files {
  return new Map([...rig.files, ['tables.csv', Buffer.concat([rig.files.get('tables.csv')!, Buffer.from('x')])]])
}

describe('a certificate', () => {
  it('shows what was planted and what was done, and that the copy can be used', () => {
    const { certificate } = rig.issued

    expect(certificate.opinion).toEqual({ verdict: 'qualified', because: ['unexplained', 'no-drill'] })
    expect(certificate.number.slice(3, 19)).toBe(certificate.issuedAt.replace(/[-:]|\.\d+/g, ''))
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
    expect(certificate.exceptions[0]?.patients).toEqual([patientOf(rig.repository, '1').pseudonym])
  })

  it('is verified in a directory of its own by plain Node, and says its opinion', async () => {
    const found = await runPlainNode(rig.files)

    expect(found.out).toContain(`verified  certificate ${rig.issued.certificate.number}, opinion qualified (保留)`)
    expect(found.status).toBe(0)
  })

  it('is verified, or refused, through a link and by a copy of the verifier that lies elsewhere', async () => {
    const link = join(scratch, 'link')
    await symlink(await laidOut(damagedFiles()), link)
    const whole = await laidOut(rig.files)
    const elsewhere = await laidOut(new Map([['verify.mjs', rig.files.get('verify.mjs')!]]))

    expect(await runInside(scratch, 'node', 'link/verify.mjs')).toEqual({
      status: 1,
      out: expect.stringContaining('NOT verified  SHA256SUMS does not fit tables.csv'),
    })
    expect((await runInside(elsewhere, 'node', 'verify.mjs', link)).status).toBe(1)
    expect((await runInside(elsewhere, 'node', 'verify.mjs', whole)).out).toContain('opinion qualified')
  })

  it('is verified when the keys are the given ones, and not under any other', async () => {
    const { ledger, signers } = rig.issued.certificate
    const whole = await laidOut(rig.files)
    const under = (...keys: readonly string[]) => runInside(whole, 'node', 'verify.mjs', ...keys)
    const other = Buffer.alloc(32, 7).toString('base64')

    expect(signers.map(({ publicKey }) => publicKey)).toHaveLength(1)
    expect((await under('--ledger', ledger.verifierKey, '--agent', signers[0]!.publicKey)).status).toBe(0)
    expect((await under('--agent', other)).out).toContain("another agent's key")
    expect((await under('--ledger', `${ledger.origin}+00000000+${other}`)).out).toContain('not the one given')
    expect((await under('--hospital', other)).out).toContain('no countersignature by the key given')
    expect((await under('--hospital')).status).toBe(2)
  })

  it('can be checked as its page says, without a line of that file', async () => {
    const whole = await laidOut(rig.files)
    const commands = [...pageOf(rig.files).matchAll(/^ {4}(.+)$/gm)].map(([, command]) => command!)
    const manifest = commands.find((command) => command.includes('manifest-end.json'))!
    const draws = commands.find((command) => command.includes('openssl'))!

    expect((await runInside(whole, 'sh', '-c', commands.find((one) => one.startsWith('sha256sum -c'))!)).status).toBe(0)
    expect((await runInside(whole, 'sh', '-c', manifest)).out).toContain(rig.issued.certificate.end.manifestSha256)
    const drawn = createHmac('sha256', rig.issued.certificate.sampleSeed).update('look-up\n0').digest('hex')
    expect((await runInside(whole, 'sh', '-c', draws)).out).toContain(drawn)
  })

  it.skipIf(!hasPrograms('psql'))('counts in the copy what its page lets an auditor count with psql', async () => {
    const [[command, month] = []] = [...pageOf(rig.files).matchAll(/^ {4}(psql .+'(\d{4}-\d\d)'.*)$/gm)].map((found) =>
      found.slice(1),
    )
    const { hostname, port, username, password, pathname } = new URL(rig.copyUrl)
    const parts = {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: username,
      PGPASSWORD: password,
      PGDATABASE: pathname.slice(1),
    }
    const environment = Object.entries(parts).map(([name, value]) => `${name}=${decodeURIComponent(value)}`)
    const counted = await runInside(scratch, ...environment, 'sh', '-c', command!.replace('psql', 'psql -XAtq'))

    const csv = Buffer.from(rig.files.get('tables.csv')!).toString('utf8').split('\r\n')
    const now = csv[0]!.split(',').indexOf('now')
    const line = csv.find((each) => each.includes(`public.vital_sign,${month},`))!.split(',')
    expect([counted.status, counted.out.trim()]).toEqual([0, line[now]])
  })

  it.skipIf(!hasPrograms('xxd'))("leads by hand from a patient's rows to a digest of the proof", async () => {
    const pattern = pageOf(rig.files).match(/^ {4}(\{ printf .+ \| sha256sum)$/m)![1]!
    const proof: PatientProof = JSON.parse(Buffer.from(rig.patient.get('patient.json')!).toString('utf8'))
    const whole = await laidOut(rig.patient)
    for (const { file, groups } of proof.tables) {
      const [group] = groups
      const command = pattern
        .replace('SALT', group!.salt)
        .replace('START', String(group!.start))
        .replace('END - START', String(group!.end - group!.start))
        .replace('rows/001.copy', file)
      const { out } = await runInside(whole, 'sh', '-c', command)
      const { node, child } = group!.nodes[0]!

      expect(upTo(out.slice(0, 64), group!.leaf), file).toBe(proof.nodes[node]!.children[child]!.digest)
    }
  })

  it('is verified when the hospital has signed too, and not when that signature is of another package', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const signed = countersign(rig.files, { name: '信息科', key: privateKey, nowMs: 0 })
    const other = countersign(rig.patient, { name: '信息科', key: privateKey, nowMs: 0 })
    const name = 'countersignatures/01.json'

    expect(problemOf(signed)).toBeNull()
    expect(problemOf(withSums(new Map([...rig.files, [name, other.get(name)!]])))).toBe(`${name} is of another package`)
    expect(acceptedChanges(signed, [name], { numRuns: 40 })).toBeNull()
  })

  it('is refused after any byte of it was changed, also where the sums were made to fit', async () => {
    expect(acceptedChanges(rig.files, [...rig.files.keys()], { numRuns: 300 })).toBeNull()
  })

  it('is refused when a file is missing, added, or taken from another certificate', async () => {
    const { files } = rig
    const other = await rig.again()
    for (const name of files.keys()) {
      const without = new Map(files)
      without.delete(name)
      expect(problemOf(name === 'SHA256SUMS' ? without : withSums(without)), name).not.toBeNull()
    }
    for (const name of ['certificate.json', 'certificate.zh.pdf', 'seal.json']) {
      expect(problemOf(withSums(new Map([...files, [name, other.get(name)!]]))), name).not.toBeNull()
    }
    expect(problemOf(withSums(new Map([...files, ['extra.txt', Buffer.from('x')]])))).toContain('extra.txt')
  })

  it('that an agent signed is refused all the same when it does not follow from its own numbers', async () => {
    const wrong: [why: string, change: (certificate: Certificate) => Certificate][] = [
      ['by the rules it is qualified', (c) => ({ ...c, opinion: { verdict: 'unqualified', because: [] } })],
      ['by the rules it is disclaimer', (c) => withLine(c, { now: 1_000 })],
      ['by the rules it is disclaimer', (c) => ({ ...c, balance: c.balance.slice(1) })],
      ['by the rules it is disclaimer', (c) => ({ ...c, demonstrations: c.demonstrations.slice(1) })],
      ['not all among the exceptions', (c) => ({ ...c, exceptions: c.exceptions.slice(1) })],
      ['0 without a reason', (c) => ({ ...c, reasons: c.reasons.filter(({ reason }) => reason !== 'none') })],
      ['the root of the tables', (c) => ({ ...c, tables: c.tables.slice(1) })],
      ['rows of the end do not add up', (c) => ({ ...c, end: { ...c.end, rows: c.end.rows + 1 } })],
      ['proofs/manifest-baseline.json is of snapshot', (c) => ({ ...c, baseline: c.end })],
      ['is not the bound of', (c) => ({ ...c, demonstrations: c.demonstrations.map(withLowerBound) })],
      ['of another database', (c) => ({ ...c, subject: { ...c.subject, databaseName: 'another' } })],
      ['not captured', (c) => ({ ...c, notCaptured: [{ kind: 'table', name: 'public.x', reason: 'unlogged' }] })],
      ['has other columns', (c) => withTable(c, 0, { columnsGone: ['x'] })],
      ['is filed elsewhere', (c) => withTable(c, 0, { category: 'x' })],
      ['or another key', (c) => withTable(c, 1, { isComparable: false })],
      ['is not in its place', (c) => withTable({ ...c, tables: [...c.tables].reverse() }, 0, {})],
      ['a count is no whole number', (c) => withLine(c, { inserted: -1, deleted: -1 })],
      ['a part exceeds the whole', (c) => withLine(c, { afterClosing: 1_000_000 })],
      ['is counted twice', (c) => ({ ...c, balance: [...c.balance, { ...c.balance[0]!, baseline: 0, now: 0 }] })],
      ['checkpoints/ledger.txt', (c) => ({ ...c, ledger: { ...c.ledger, root: Buffer.alloc(32).toString('base64') } })],
    ]
    for (const [why, change] of wrong) {
      const certificate = change(rig.issued.certificate)
      const made_ = await packageCertificate(rig.repository, { ...rig.issued, certificate }, async () => new Map())
      expect(problemOf(made_)).toContain(why)
    }
  })
})

/** With the root of the tables as it then is. */
function withTable(certificate: Certificate, index: number, change: Partial<TableFacts>): Certificate {
  const tables = certificate.tables.map((table, place) => (place === index ? { ...table, ...change } : table))
  return { ...certificate, tables, tablesRoot: tablesRoot(tables) }
}

function withLowerBound(each: Demonstration): Demonstration {
  return { ...each, upperBound: Math.max(0, each.upperBound - 1) }
}

/** In the first line. */
function withLine(certificate: Certificate, change: Partial<BalanceLine>): Certificate {
  const balance = certificate.balance.map((line, place) => (place === 0 ? { ...line, ...change } : line))
  return { ...certificate, balance }
}

describe("one patient's proof", () => {
  it('is verified by the same file, and holds the rows that the database has', async () => {
    const found = await runPlainNode(rig.patient)
    const lines = [...rig.patient]
      .filter(([name]) => name.startsWith('rows/'))
      .flatMap(([, bytes]) => `${Buffer.from(bytes)}`.split('\n'))

    expect(found.out).toContain(`verified  proof of patient ${patientOf(rig.repository, '3').pseudonym}`)
    // The patient, two stays of 120 hours, four documents, six orders, ten alarms, and an end of line for each table.
    expect(lines.filter((line) => line !== '').length).toBe(1 + 2 + 240 + 4 + 6 + 10)
  })

  it('has nothing of anybody else: no key, no value, no pseudonym, no certificate.json', () => {
    const text = [...rig.patient].map(([, bytes]) => Buffer.from(bytes).toString('latin1')).join('\n')
    const others = [1, 2, 4, 5, 6].map((key) => patientOf(rig.repository, String(key)).pseudonym)

    expect(others.filter((pseudonym) => text.includes(pseudonym))).toEqual([])
    expect(text).not.toMatch(/\bM[12456]\b|text of (1|2|3|4|7)\b/)
    expect(rig.patient.has('certificate.json')).toBe(false)
  })

  it('is refused after any byte of it was changed, also where the sums were made to fit', async () => {
    expect(acceptedChanges(rig.patient, [...rig.patient.keys()], { numRuns: 300 })).toBeNull()
  })
})

it('verify.mjs is the file that stands in the package', async () => {
  const own = fileURLToPath(new URL('../../../src/verify/certificate/verify/verify.mjs', import.meta.url))
  expect(Buffer.from(rig.files.get('verify.mjs')!).equals(await readFile(own))).toBe(true)
})
