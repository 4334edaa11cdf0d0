#!/usr/bin/env node
/**
 * Verifies a certificate of data integrity (数据完整性核验证明), or the proof of one patient, without chartkeep: one file,
 * no dependencies, Node 20 or later, no network.
 *
 *     node verify.mjs [DIR] [--agent KEY] [--ledger KEY] [--hospital KEY]
 *
 * Written from docs/FORMAT.md, "Certificate"; shares no line with the program that issues, so that each checks the other.
 * The keys are the ones that the package itself names unless they are given: compare them with the recovery sheet, or with
 * the paper that was signed. Exit status: 0 verified · 1 something is wrong, and what · 2 wrong usage.
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

class Wrong extends Error {}

const demand = (holds, message) => {
  if (!holds) throw new Wrong(message)
}
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const unhex = (text) => {
  demand(typeof text === 'string' && /^([0-9a-f]{2})*$/.test(text), 'a digest is not hexadecimal')
  return Buffer.from(text, 'hex')
}
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0)

// ------------------------------------------------------------------------------------------------- canonical JSON

/** RFC 8785: members by UTF-16 code units, numbers and strings as ECMAScript writes them. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

/** The value, whose canonical form is exactly these bytes. */
function parseCanonical(bytes, what) {
  let value
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    throw new Wrong(`${what} is not JSON`)
  }
  demand(Buffer.from(canonical(value)).equals(bytes), `${what} is not in canonical form (RFC 8785)`)
  return value
}

// ----------------------------------------------------------------------------------------------------- signatures

const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

function isSigned(publicKey, message, signature) {
  const raw = Buffer.from(publicKey, 'base64')
  if (raw.length !== 32 || raw.toString('base64') !== publicKey) return false
  const value = Buffer.from(signature, 'base64')
  if (value.length !== 64 || value.toString('base64') !== signature) return false
  const key = createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
  return verifySignature(null, message, key, value)
}

const purposed = (purpose, value) => Buffer.from(`${purpose}\n${canonical(value)}`)

// ------------------------------------------------------------------------------------------------- Merkle (RFC 6962)

export const leafHash = (bytes) => sha256(Buffer.of(0), bytes)
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right)

export function merkleRoot(leaves) {
  if (leaves.length === 0) return sha256()
  let level = leaves
  while (level.length > 1) {
    const above = []
    for (let at = 0; at < level.length; at += 2) {
      above.push(at + 1 < level.length ? nodeHash(level[at], level[at + 1]) : level[at])
    }
    level = above
  }
  return level[0]
}

/** RFC 9162, 2.1.3.2: the root that the path leads to. */
export function rootOfPath(leaf, { index, size, path }, what) {
  const isPlace = Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size
  demand(isPlace, `${what}: place ${index} of ${size}`)
  let [fn, sn, root] = [index, size - 1, leaf]
  for (const step of path.map(unhex)) {
    demand(sn > 0, `${what}: the path is too long`)
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(step, root)
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
    } else root = nodeHash(root, step)
    ;[fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
  }
  demand(sn === 0, `${what}: the path is too short`)
  return root
}

/** RFC 9162, 2.1.4.2. */
function demandGrowth({ first, second, firstRoot, secondRoot, path }, what) {
  const [older, newer] = [unhex(firstRoot), unhex(secondRoot)]
  demand(first > 0 && first <= second, `${what}: sizes ${first} and ${second}`)
  if (first === second) return demand(path.length === 0 && older.equals(newer), `${what}: two roots of one size`)
  const steps = path.map(unhex)
  let [fn, sn] = [first - 1, second - 1]
  while (fn % 2 === 1) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
  if (fn === 0) steps.unshift(older)
  demand(steps.length > 0, `${what}: the proof is empty`)
  let [fr, sr] = [steps[0], steps[0]]
  for (const step of steps.slice(1)) {
    demand(sn > 0, `${what}: the proof is too long`)
    if (fn % 2 === 1 || fn === sn) {
      ;[fr, sr] = [nodeHash(step, fr), nodeHash(step, sr)]
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
    } else sr = nodeHash(sr, step)
    ;[fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
  }
  demand(sn === 0 && fr.equals(older) && sr.equals(newer), `${what}: the ledger does not go on from the older one`)
}

// ---------------------------------------------------------------------------------------------- the package itself

function readPackage(directory) {
  const files = new Map()
  const walk = (folder) => {
    for (const entry of readdirSync(join(directory, folder), { withFileTypes: true })) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) walk(name)
      else files.set(name, readFileSync(join(directory, name)))
    }
  }
  walk('')
  return files
}

function file(files, name) {
  demand(files.has(name), `${name} is missing`)
  return files.get(name)
}

function demandSums(files) {
  const names = [...files.keys()].filter((name) => name !== 'SHA256SUMS').sort()
  const wanted = names.map((name) => `${hex(sha256(files.get(name)))}  ${name}\n`)
  const found = file(files, 'SHA256SUMS').toString('utf8')
  if (found === wanted.join('')) return
  const lines = new Set(found.split('\n').map((line) => `${line}\n`))
  const odd = names.filter((_, index) => !lines.has(wanted[index]))
  throw new Wrong(`SHA256SUMS does not fit ${odd.length > 0 ? odd.join(', ') : 'the files that are here'}`)
}

function readSeal(files, kind, given) {
  const bytes = file(files, 'seal.json')
  const { seal, signature } = parseCanonical(bytes, 'seal.json')
  demand(seal.kind === kind && seal.format === 1, `seal.json is of ${seal.kind}, format ${seal.format}`)
  demand(
    given === null || seal.agent.publicKey === given,
    `seal.json is signed by another agent's key than the one given`,
  )
  const isKnown = signature.algorithm === 'Ed25519' && signature.signer === seal.agent.signerId
  const message = purposed('chartkeep certificate v1', seal)
  demand(isKnown && isSigned(seal.agent.publicKey, message, signature.value), 'seal.json: the signature does not fit')
  for (const [name, digest] of Object.entries(seal.files)) {
    demand(hex(sha256(file(files, name))) === digest, `${name} is not the file that was sealed`)
  }
  const beside = (name) => name === 'seal.json' || name === 'SHA256SUMS' || name.startsWith('countersignatures/')
  const stranger = [...files.keys()].find((name) => !beside(name) && !Object.hasOwn(seal.files, name))
  demand(stranger === undefined, `${stranger} is not part of what was sealed`)
  return seal
}

function readCountersignatures(files, given) {
  const names = []
  for (const [name, bytes] of files) {
    if (!name.startsWith('countersignatures/')) continue
    const { statement, signature } = parseCanonical(bytes, name)
    demand(statement.sealSha256 === hex(sha256(file(files, 'seal.json'))), `${name} is of another package`)
    const message = purposed('chartkeep certificate countersignature v1', statement)
    const holds = signature.algorithm === 'Ed25519' && isSigned(statement.publicKey, message, signature.value)
    demand(holds, `${name}: the signature does not fit`)
    names.push({ name: statement.name, publicKey: statement.publicKey })
  }
  demand(given === null || names.some(({ publicKey }) => publicKey === given), 'no countersignature by the key given')
  return names
}

// --------------------------------------------------------------------------------------------- manifests and ledger

/** A signed note (C2SP) of the ledger: size and root, signed under the ledger's own key. */
function readCheckpoint(note, { origin, verifierKey, size, root }) {
  const split = note.lastIndexOf('\n\n')
  const [text, signatures] = [note.slice(0, split + 1), note.slice(split + 2)]
  const [name, keyId, ...rest] = verifierKey.split('+')
  const key = Buffer.from(rest.join('+'), 'base64')
  demand(name === origin && key.length === 33 && key[0] === 1, `the ledger's key is not one of ${origin}`)
  const id = sha256(Buffer.from(`${name}\n`), key).subarray(0, 4)
  demand(hex(id) === keyId, `the ledger's key does not have its id`)
  const start = `\u2014 ${name} `
  const lines = signatures.split('\n')
  demand(
    lines.pop() === '' && lines.length === 1 && lines[0].startsWith(start),
    'checkpoints/ledger.txt: not signed once',
  )
  const encoded = lines[0].slice(start.length)
  const signature = Buffer.from(encoded, 'base64')
  demand(signature.toString('base64') === encoded, 'checkpoints/ledger.txt: the signature is not base64')
  const isIt = signature.subarray(0, 4).equals(id) && signature.length === 68
  const publicKey = key.subarray(1).toString('base64')
  const value = signature.subarray(4).toString('base64')
  demand(isIt && isSigned(publicKey, Buffer.from(text), value), 'checkpoints/ledger.txt: the signature does not fit')
  demand(
    text.startsWith(`${origin}\n${size}\n${root}\n`),
    'checkpoints/ledger.txt is not the ledger that the certificate names',
  )
}

function readManifest(files, name, signers, { snapshotId, manifestSha256 }) {
  const { manifest, signature } = parseCanonical(file(files, name), name)
  demand(manifest.snapshotId === snapshotId, `${name} is of snapshot ${manifest.snapshotId}`)
  demand(
    hex(sha256(Buffer.from(canonical(manifest)))) === manifestSha256,
    `${name} is not the manifest that was certified`,
  )
  const signer = signers.find(({ signerId }) => signerId === signature.signer)
  const message = purposed('chartkeep manifest v1', manifest)
  demand(signer && isSigned(signer.publicKey, message, signature.value), `${name}: the signature does not fit`)
  return manifest
}

function demandInLedger(files, name, { snapshotId, manifestSha256, ledgerIndex }, { size, root }) {
  const proof = parseCanonical(file(files, name), name)
  const entry = parseCanonical(Buffer.from(proof.entry), `${name}: the entry`)
  demand(entry.snapshot === snapshotId && entry.manifest === manifestSha256, `${name} is of another snapshot`)
  demand(proof.index === ledgerIndex && proof.size === size, `${name} is of another place in the ledger`)
  const found = rootOfPath(leafHash(Buffer.from(proof.entry)), proof, name)
  demand(found.toString('base64') === root, `${name}: the path leads to another ledger`)
}

// ------------------------------------------------------------------------------------------------- the certificate

function demandTables(certificate, baseline, end) {
  const { tables } = certificate
  const root = merkleRoot(tables.map((table) => leafHash(Buffer.from(canonical(table)))))
  demand(hex(root) === certificate.tablesRoot, 'the root of the tables is not the one that the certificate says')
  for (const [side, manifest] of [
    ['baseline', baseline],
    ['end', end],
  ]) {
    const stated = tables.filter((table) => table[side] !== null)
    demand(stated.length === manifest.tables.length, `the certificate does not have the tables of its ${side}`)
    for (const table of stated) {
      const own = manifest.tables.find(({ name }) => name === table.name)
      demand(own !== undefined, `${table.name} is not in the manifest of the ${side}`)
      const { digest, level, rows } = own.rows
      demand(
        canonical(table[side]) === canonical({ digest, level, rows }),
        `${table.name} has another root at the ${side}`,
      )
    }
    demand(
      sum(manifest.tables.map(({ rows }) => rows.rows)) === certificate[side].rows,
      `rows of the ${side} do not add up`,
    )
    demand(manifest.position.sourceTime === certificate[side].takenAt, `the ${side} was taken at another time`)
  }
}

/** What both manifests say of a table: nothing that is gone, or cannot be compared, is left unsaid. */
function demandShape({ tables }, baseline, end) {
  const find = (manifest, name) => manifest.tables.find((table) => table.name === name)
  for (const [index, table] of tables.entries()) {
    const { name, category, countedAs, isComparable, columnsGone, columnsNew } = table
    demand(index === 0 || tables[index - 1].name < name, `${name} is not in its place among the tables`)
    const [before, after] = [find(baseline, name), find(end, name)]
    const like = after ?? before
    demand(
      like !== undefined && like.category === category && (like.partitionOf ?? name) === countedAs,
      `${name} is filed elsewhere in the manifests`,
    )
    const names = (side) => (side?.columns ?? []).map((column) => column.name)
    const less = (one, other) => (before && after ? names(one).filter((column) => !names(other).includes(column)) : [])
    const isSaid =
      canonical([columnsGone, columnsNew]) === canonical([less(before, after), less(after, before)]) &&
      isComparable === (!before || !after || canonical(keyOf(before)) === canonical(keyOf(after)))
    demand(isSaid, `${name} has other columns, or another key, in the manifests`)
  }
}

const keyOf = ({ anchor, primaryKey }) => [anchor ?? null, primaryKey]

function demandSubject({ subject, baseline, end, notCaptured }, then, now) {
  const { repositoryId, ...said } = subject
  const { engine, systemId, databaseName, serverVersion, encoding } = now.source
  const { sourceName } = now
  const found = { sourceName, engine, systemId, databaseName, serverVersion, encoding }
  demand(canonical(said) === canonical(found), `the certificate is of another database than its end (${repositoryId})`)
  demand(then.sourceName === sourceName, 'baseline and end are of two sources')
  demand(baseline.snapshotId < end.snapshotId, 'the end is not after the baseline')
  const left = now.notCaptured.map(({ kind, name, reason }) => ({ kind, name, reason }))
  demand(canonical(notCaptured) === canonical(left), 'what was not captured is not what the manifest says')
}

function balanceCloses({ balance, tables, baseline, end }) {
  const isClosed = (line) => line.now === line.baseline + line.inserted - line.deleted + line.movedIn - line.movedOut
  const byTable = new Map()
  for (const line of balance) byTable.set(line.table, [...(byTable.get(line.table) ?? []), line])
  const counted = [...new Set(tables.map(({ countedAs }) => countedAs))]
  const fits = (name, side, column) => {
    const parts = tables.filter((table) => table.countedAs === name && table.isComparable)
    return (
      sum((byTable.get(name) ?? []).map((line) => line[column])) === sum(parts.map((part) => part[side]?.rows ?? 0))
    )
  }
  const isWhole = counted.every((name) => fits(name, 'baseline', 'baseline') && fits(name, 'end', 'now'))
  const total = (side) => sum(tables.map((table) => table[side]?.rows ?? 0))
  return balance.every(isClosed) && isWhole && total('baseline') === baseline.rows && total('end') === end.rows
}

const COUNTS = 'baseline inserted updated updatedUnexplained deleted deletedUnexplained movedIn movedOut now'.split(' ')
const CLOSING = ['afterClosing', 'afterClosingUnexplained']

function demandLines(balance) {
  const places = new Set()
  for (const line of balance) {
    const what = `${line.category}, ${line.table} ${line.month}`
    const isCount = (name) => Number.isSafeInteger(line[name]) && line[name] >= 0
    demand([...COUNTS, ...CLOSING].every(isCount), `${what}: a count is no whole number`)
    const holds =
      line.updatedUnexplained <= line.updated &&
      line.deletedUnexplained <= line.deleted &&
      line.afterClosing <= line.updated + line.deleted &&
      line.afterClosingUnexplained <= Math.min(line.afterClosing, line.updatedUnexplained + line.deletedUnexplained)
    demand(holds, `${what}: a part exceeds the whole`)
    demand(!places.has(what), `${what} is counted twice`)
    places.add(what)
  }
}

function demandCounts({ balance, reasons, exceptions }) {
  demandLines(balance)
  for (const table of new Set([...balance, ...reasons].map((each) => each.table))) {
    const lines = balance.filter((line) => line.table === table)
    const own = reasons.filter((reason) => reason.table === table)
    const unexplained = sum(lines.map((line) => line.updatedUnexplained + line.deletedUnexplained))
    const none = sum(own.filter(({ reason }) => reason === 'none').map(({ changes }) => changes))
    const changes = sum(lines.map((line) => line.updated + line.deleted))
    demand(none === unexplained, `${table}: ${unexplained} changes without explanation, and ${none} without a reason`)
    demand(sum(own.map((reason) => reason.changes)) === changes, `${table}: not every change has its reason`)
  }
  const listed = (name) => sum(exceptions.filter((each) => each.class === name).map(({ count }) => count))
  const column = (name) => sum(balance.map((line) => line[name]))
  demand(
    listed('unexplained-update') === column('updatedUnexplained'),
    'unexplained changes are not all among the exceptions',
  )
  demand(
    listed('unexplained-delete') === column('deletedUnexplained'),
    'unexplained deletions are not all among the exceptions',
  )
  demand(
    listed('changed-after-closing') === column('afterClosing'),
    'changed closed records are not all among the exceptions',
  )
}

const STATEMENTS = ['look-up', 'retrieve', 'count', 'export']

/** The rules of the opinion, in the order of their weight. */
function opinionOf(certificate) {
  const { balance, tables, demonstrations, period, drills, issuedAt } = certificate
  const unexplained = (lines) => sum(lines.map((line) => line.updatedUnexplained + line.deletedUnexplained))
  const isBeyond = (category) => {
    const lines = balance.filter((line) => line.category === category)
    return unexplained(lines) > 0.01 * sum(lines.map((line) => line.baseline))
  }
  const isShown = (name) => {
    const own = demonstrations.filter(({ statement }) => statement === name)
    return own.length > 0 && own.every(({ isDone }) => isDone)
  }
  const since = Date.parse(issuedAt) - 183 * 86_400_000
  const rules = [
    ['balance-open', 'disclaimer', !balanceCloses(certificate)],
    ['not-comparable', 'disclaimer', tables.some((table) => !table.isComparable)],
    ['not-demonstrated', 'disclaimer', !STATEMENTS.every(isShown)],
    ['demonstration-failed', 'adverse', demonstrations.some(({ failures }) => failures > 0)],
    ['unexplained-share', 'adverse', [...new Set(balance.map(({ category }) => category))].some(isBeyond)],
    ['unexplained', 'qualified', unexplained(balance) > 0],
    ['structure-lost', 'qualified', tables.some(({ end, columnsGone }) => end === null || columnsGone.length > 0)],
    ['snapshot-missing', 'qualified', period.missing.length > 0],
    ['no-drill', 'qualified', !drills.some(({ passed, endedAt }) => passed && Date.parse(endedAt) >= since)],
  ].filter(([, , holds]) => holds)
  return { verdict: rules[0]?.[1] ?? 'unqualified', because: rules.map(([rule]) => rule) }
}

/** P(at most `failures` wrong ones in the sample), hypergeometric. */
function chance(failures, population, sample, wrong) {
  const right = population - wrong
  let all = 0
  for (let count = Math.max(0, sample - right); count <= Math.min(failures, sample, wrong); count += 1) {
    let log = 0
    for (let i = 0; i < count; i += 1) log += Math.log((wrong - i) / (i + 1))
    for (let i = 0; i < sample - count; i += 1) log += Math.log((right - i) / (population - i))
    for (let i = sample - count; i < sample; i += 1) log += Math.log((i + 1) / (population - i))
    all += Math.exp(log)
  }
  return all
}

export function demandBound({ statement, population, sample, failures, upperBound, isDone }) {
  if (!isDone) return
  if (sample === population) return demand(upperBound === failures, `${statement}: the bound is not what was found`)
  const most = population - (sample - failures)
  const holds =
    failures >= 0 &&
    failures <= sample &&
    sample < population &&
    upperBound >= failures &&
    upperBound <= most &&
    chance(failures, population, sample, upperBound) > 0.05 - 1e-9
  const isTight = upperBound === most || chance(failures, population, sample, upperBound + 1) <= 0.05 + 1e-9
  demand(holds && isTight, `${statement}: ${upperBound} is not the bound of ${failures} in ${sample} of ${population}`)
}

function demandCsv(files, { balance }) {
  const columns =
    'category,table,month,baseline,inserted,updated,updatedUnexplained,deleted,deletedUnexplained,movedIn,movedOut,now,afterClosing,afterClosingUnexplained'
  const quoted = (value) => (/[",\r\n]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : `${value}`)
  const lines = balance.map((line) =>
    columns
      .split(',')
      .map((name) => quoted(line[name]))
      .join(','),
  )
  const wanted = `${[columns, ...lines].join('\r\n')}\r\n`
  demand(file(files, 'tables.csv').equals(Buffer.from(wanted)), 'tables.csv does not say what certificate.json says')
}

function demandPages(files, sha) {
  for (const [name, bytes] of files) {
    const isOf = !name.endsWith('.pdf') || bytes.includes(Buffer.from(`sha256:${sha}`, 'latin1'))
    demand(isOf, `${name} is the print of another certificate.json`)
  }
}

function verifyCertificate(files, given) {
  const seal = readSeal(files, 'chartkeep certificate seal', given.agent)
  const json = file(files, 'certificate.json')
  const certificate = parseCanonical(json, 'certificate.json')
  demand(
    certificate.kind === 'chartkeep certificate' && certificate.format === 1,
    'certificate.json is of another format',
  )
  const isSealed = certificate.number === seal.number && certificate.tablesRoot === seal.tablesRoot
  demand(isSealed, 'seal.json is of another certificate')
  const countersigned = readCountersignatures(files, given.hospital)
  const { ledger, signers, baseline, end } = certificate
  demand(given.ledger === null || ledger.verifierKey === given.ledger, `the ledger's key is not the one given`)
  demand(ledger.origin === `chartkeep/${certificate.subject.repositoryId}`, 'the ledger is of another repository')
  readCheckpoint(file(files, 'checkpoints/ledger.txt').toString('utf8'), ledger)
  const then = readManifest(files, 'proofs/manifest-baseline.json', signers, baseline)
  const now = readManifest(files, 'proofs/manifest-end.json', signers, end)
  demandInLedger(files, 'proofs/ledger-baseline.json', baseline, ledger)
  demandInLedger(files, 'proofs/ledger-end.json', end, ledger)
  const growth = parseCanonical(file(files, 'proofs/ledger-growth.json'), 'proofs/ledger-growth.json')
  const isOfLedger = growth.second === ledger.size && unhex(growth.secondRoot).toString('base64') === ledger.root
  demand(growth.first === baseline.ledgerIndex + 1 && isOfLedger, 'proofs/ledger-growth.json is of another ledger')
  demandGrowth(growth, 'proofs/ledger-growth.json')
  demandSubject(certificate, then, now)
  demandTables(certificate, then, now)
  demandShape(certificate, then, now)
  demandCounts(certificate)
  for (const each of certificate.demonstrations) demandBound(each)
  demandCsv(files, certificate)
  demandPages(files, hex(sha256(json)))
  const opinion = opinionOf(certificate)
  demand(
    canonical(opinion) === canonical(certificate.opinion),
    `the opinion does not follow: by the rules it is ${opinion.verdict}`,
  )
  return { certificate, seal, countersigned }
}

// ----------------------------------------------------------------------------------------------- one patient's proof

function nodeDigest({ level, children }) {
  const head = Buffer.alloc(6)
  head[0] = 2
  head[1] = level
  head.writeUInt32LE(children.length, 2)
  const parts = children.flatMap(({ digest, rows, separator }) => {
    const count = Buffer.alloc(8)
    count.writeBigUInt64LE(BigInt(rows))
    return [unhex(digest), count, unhex(separator)]
  })
  return sha256(head, ...parts)
}

function demandGroup(group, lines, { facts }, nodes, digests) {
  const what = `${facts.name}, rows ${group.start} to ${group.end}`
  let newlines = 0
  for (const byte of lines) if (byte === 10) newlines += 1
  demand(lines.at(-1) === 10 && newlines === group.rows, `${what}: not ${group.rows} lines`)
  const salt = unhex(group.salt)
  demand(salt.length === 32, `${what}: no salt`)
  let digest = rootOfPath(sha256(Buffer.of(0), salt, lines), group.leaf, what)
  for (const [above, { node, child }] of group.nodes.entries()) {
    demand(nodes[node]?.level === above + 1, `${what}: a node of another level`)
    demand(nodes[node].children[child]?.digest === hex(digest), `${what}: is not below the node that is named`)
    digest = digests[node]
  }
  const { end } = facts
  demand(group.nodes.length === end.level && hex(digest) === end.digest, `${what}: leads to another root`)
  demand(
    sum(nodes[group.nodes.at(-1).node].children.map(({ rows }) => rows)) === end.rows,
    `${what}: another number of rows`,
  )
}

function verifyPatient(files, given) {
  const seal = readSeal(files, 'chartkeep patient proof seal', given.agent)
  const proof = parseCanonical(file(files, 'patient.json'), 'patient.json')
  demand(proof.kind === 'chartkeep patient proof' && proof.format === 1, 'patient.json is of another format')
  const own = parseCanonical(file(files, 'certificate-seal.json'), 'certificate-seal.json')
  const ledgerOf = parseCanonical(file(files, 'proofs/end.json'), 'proofs/end.json')
  demand(proof.certificate === seal.number && own.seal.number === seal.number, 'the proof is of another certificate')
  const isSealed = isSigned(
    own.seal.agent.publicKey,
    purposed('chartkeep certificate v1', own.seal),
    own.signature.value,
  )
  demand(
    isSealed && own.seal.agent.publicKey === seal.agent.publicKey,
    'certificate-seal.json: the signature does not fit',
  )
  const { ledger, end, signers, certificateSha256, tablesRoot } = ledgerOf
  const isOfIt = own.seal.files['certificate.json'] === certificateSha256 && own.seal.tablesRoot === tablesRoot
  demand(isOfIt, 'the proof is of another certificate.json')
  demand(given.ledger === null || ledger.verifierKey === given.ledger, `the ledger's key is not the one given`)
  readCheckpoint(file(files, 'checkpoints/ledger.txt').toString('utf8'), ledger)
  const manifest = readManifest(files, 'proofs/manifest-end.json', signers, end)
  demandInLedger(files, 'proofs/ledger-end.json', end, ledger)
  demand(proof.tablesRoot === tablesRoot && proof.snapshotId === end.snapshotId, 'the proof is of another snapshot')
  const digests = proof.nodes.map(nodeDigest)
  for (const table of proof.tables) {
    const { facts } = table
    const root = rootOfPath(leafHash(Buffer.from(canonical(facts))), table.tables, facts.name)
    demand(hex(root) === tablesRoot, `${facts.name} is not among the tables of the certificate`)
    const stored = manifest.tables.find(({ name }) => name === facts.name)
    demand(stored?.rows.digest === facts.end.digest, `${facts.name} has another root in the manifest`)
    demand(
      canonical(stored.columns.map(({ name }) => name)) === canonical(table.columns),
      `${facts.name}: other columns`,
    )
    const bytes = file(files, table.file)
    let at = 0
    for (const group of table.groups) {
      demand(
        group.start === at && group.end > at && group.end <= bytes.length,
        `${table.file} is not covered by its proof`,
      )
      demandGroup(group, bytes.subarray(group.start, group.end), table, proof.nodes, digests)
      at = group.end
    }
    demand(at === bytes.length, `${table.file} has rows that are not proved`)
  }
  return { proof, seal, countersigned: readCountersignatures(files, given.hospital) }
}

// ------------------------------------------------------------------------------------------------------- the command

const OPINIONS = { unqualified: '无保留', qualified: '保留', adverse: '否定', disclaimer: '无法表示' }

/** Lines that say what was verified. @throws Wrong */
export function verifyDirectory(directory, given) {
  return verifyFiles(readPackage(directory), given)
}

/** The same of files by their names in the package, as Buffers. */
export function verifyFiles(files, given = { agent: null, ledger: null, hospital: null }) {
  demandSums(files)
  if (files.has('patient.json')) {
    const { proof, seal, countersigned } = verifyPatient(files, given)
    const rows = sum(proof.tables.flatMap(({ groups }) => groups.map((group) => group.rows)))
    const what = `verified  proof of patient ${proof.patient}, ${rows} rows of ${proof.tables.length} tables, certificate ${proof.certificate}`
    return [what, ...keyLines(seal, null, countersigned)]
  }
  const { certificate, seal, countersigned } = verifyCertificate(files, given)
  const { opinion, number } = certificate
  const what = `verified  certificate ${number}, opinion ${opinion.verdict} (${OPINIONS[opinion.verdict]})`
  return [what, ...keyLines(seal, certificate.ledger, countersigned)]
}

function keyLines({ agent }, ledger, countersigned) {
  return [
    `agent     ${agent.name}  ${agent.publicKey}`,
    ...(ledger ? [`ledger    ${ledger.verifierKey}`] : []),
    ...countersigned.map(({ name, publicKey }) => `signed    ${name}  ${publicKey}`),
    ...(countersigned.length === 0 ? ['signed    by nobody beside the agent'] : []),
  ]
}

function main(words) {
  const given = { agent: null, ledger: null, hospital: null }
  let directory = null
  const rest = [...words]
  while (rest.length > 0) {
    const word = rest.shift()
    const option = /^--(agent|ledger|hospital)$/.exec(word)?.[1]
    if (option !== undefined && rest.length > 0) given[option] = rest.shift()
    else if (directory === null && !word.startsWith('--')) directory = word
    else {
      process.stderr.write('usage: node verify.mjs [DIR] [--agent KEY] [--ledger KEY] [--hospital KEY]\n')
      return 2
    }
  }
  try {
    const lines = verifyDirectory(directory ?? dirname(fileURLToPath(import.meta.url)), given)
    process.stdout.write(`${lines.join('\n')}\n`)
    return 0
  } catch (error) {
    // Whatever else goes wrong with bytes that anybody may have written: they are not what was signed.
    const why = error instanceof Wrong ? error.message : `what is here cannot be read (${error.code ?? error.name})`
    process.stdout.write(`NOT verified  ${why}\n未通过核验\n`)
    return 1
  }
}

/** Also by a link to it: a run that says nothing and exits with 0 would be taken for a verified one. */
const started = process.argv[1] ?? ''
if (existsSync(started) && realpathSync(started) === fileURLToPath(import.meta.url))
  process.exitCode = main(process.argv.slice(2))
