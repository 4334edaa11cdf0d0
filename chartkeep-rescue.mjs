#!/usr/bin/env node
/**
 * Reads a chartkeep repository without chartkeep: one file, no dependencies, Node 22.15 or later.
 *
 *     node chartkeep-rescue.mjs --repo DIR --recovery-sheet FILE --out DIR [--snapshot ID]
 *     node chartkeep-rescue.mjs --repo DIR --recovery-sheet FILE --list
 *     node chartkeep-rescue.mjs --repo DIR --recovery-sheet FILE --log [--out DIR]
 *
 * Instead of --recovery-sheet: --passphrase-file FILE or --key-file FILE.
 *
 * For the day on which nothing else is left. It is written from docs/FORMAT.md and shares no line with the program, so
 * that each checks the other; section numbers below are of that document. Everything that is read is proved first:
 * tags, digests from rows to root, signature, ledger. What does not fit is said, and the rest is still written: a
 * table of which something is missing goes to a file whose name says `incomplete`.
 *
 * Memory stays small: one leaf at a time, and one path of nodes. No message holds a value of a row.
 *
 * Exit status: 0 everything is whole · 1 something is damaged, missing or not signed · 2 wrong usage · 3 not opened.
 */
import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  scryptSync,
  verify,
} from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'

const USAGE = `usage: node chartkeep-rescue.mjs --repo DIR (--recovery-sheet FILE | --passphrase-file FILE | --key-file FILE)
         --out DIR [--snapshot ID]   writes every table of one snapshot (the newest) as COPY text
         --list                      lists the snapshots
         --log                       lists the change logs, segment by segment, and proves their chains
         --log --out DIR             writes every change of every log as text
         --even-unsigned             goes on where a manifest's signature cannot be verified; says so, and exits with 1`

const SEAL = {
  dataKey: 1,
  index: 2,
  manifest: 3,
  signer: 5,
  revocation: 6,
  ledgerEntry: 7,
  ledgerHead: 8,
  audit: 9,
  logStart: 10,
  segment: 11,
  logTrim: 19,
}
const CHUNK = { leaf: 1, node: 2 }
const JSON_BYTES_MAX = 64 << 20
const OBJECT_BYTES_MAX = 512 << 20
const PAYLOAD_BYTES_MAX = 2 ** 31 - 1
const CHILDREN_MAX = 512
const LEAF_ROWS_MAX = 131072
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Something in the repository is not what it should be. */
class Damage extends Error {}
/** It cannot be opened at all. */
class Closed extends Error {}
class Usage extends Error {}

// ---------------------------------------------------------------------------------------------------- small things

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
const hmac = (key, ...parts) => parts.reduce((mac, part) => mac.update(part), createHmac('sha256', key)).digest()
const hkdf = (key, salt, info) => Buffer.from(hkdfSync('sha256', key, salt, info, 32))
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const isHex = (text, bytes) => typeof text === 'string' && text.length === 2 * bytes && /^[0-9a-f]*$/.test(text)
const isCount = (value) => Number.isSafeInteger(value) && value >= 0

function gcmOpen(key, nonce, associated, sealed) {
  if (sealed.length < 16) return null
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
  decipher.setAAD(associated)
  decipher.setAuthTag(sealed.subarray(sealed.length - 16))
  const plain = decipher.update(sealed.subarray(0, sealed.length - 16))
  try {
    decipher.final()
  } catch {
    return null
  }
  return plain
}

function unzstd(bytes, most, what) {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, most) })
  } catch {
    throw new Damage(`${what} does not decompress`)
  }
}

function ed25519Verify(rawPublicKey, message, signature) {
  if (rawPublicKey.length !== 32 || signature.length !== 64) return false
  try {
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: rawPublicKey.toString('base64url') },
      format: 'jwk',
    })
    return verify(null, message, key, signature)
  } catch {
    return false
  }
}

/** Section 2: the one spelling of a value. */
function canonical(value, depth = 0) {
  if (depth > 64) throw new Damage('nested too deep')
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name], depth + 1)}`).join(',')}}`
}

function parseCanonical(bytes, what, most = JSON_BYTES_MAX) {
  if (bytes.length > most) throw new Damage(`${what} is longer than ${most} bytes`)
  let value
  let spelled = null
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
    spelled = Buffer.from(canonical(value))
  } catch {
    throw new Damage(`${what} is not JSON`)
  }
  if (!spelled.equals(bytes)) throw new Damage(`${what} is not canonical JSON`)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Damage(`${what} is not an object`)
  return value
}

// ------------------------------------------------------------------------------------------------ the folder (1, 3)

class Folder {
  #root
  #open = new Map()

  constructor(root) {
    if (!fs.statSync(root, { throwIfNoEntry: false })?.isDirectory()) throw new Closed(`there is no directory ${root}`)
    this.#root = root
  }

  /** Names below a prefix that ends with a slash, in order. */
  names(prefix) {
    const directory = join(this.#root, prefix)
    if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return []
    const files = fs.readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile())
    return files.map((entry) => prefix + entry.name).sort()
  }

  has(name) {
    return fs.statSync(join(this.#root, name), { throwIfNoEntry: false })?.isFile() === true
  }

  read(name, most = OBJECT_BYTES_MAX) {
    const size = this.size(name)
    if (size > most) throw new Damage(`object ${name} has ${size} bytes, at most ${most} are read`)
    return this.range(name, 0, size)
  }

  size(name) {
    const found = fs.statSync(join(this.#root, name), { throwIfNoEntry: false })
    if (!found?.isFile()) throw new Damage(`object ${name} is missing`)
    return found.size
  }

  range(name, start, end) {
    if (end > this.size(name)) throw new Damage(`object ${name} ends before byte ${end}`)
    const bytes = Buffer.alloc(end - start)
    const file = this.#file(name)
    for (let at = 0; at < bytes.length; ) {
      const count = fs.readSync(file, bytes, at, bytes.length - at, start + at)
      if (count === 0) throw new Damage(`object ${name} ends before byte ${end}`)
      at += count
    }
    return bytes
  }

  sha256(name) {
    const size = this.size(name)
    const hash = createHash('sha256')
    for (let at = 0; at < size; at += 4 << 20) hash.update(this.range(name, at, Math.min(size, at + (4 << 20))))
    return hash.digest('hex')
  }

  #file(name) {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    if (this.#open.size >= 16) {
      const [oldest, file] = this.#open.entries().next().value
      fs.closeSync(file)
      this.#open.delete(oldest)
    }
    const file = fs.openSync(join(this.#root, name), 'r')
    this.#open.set(name, file)
    return file
  }
}

// --------------------------------------------------------------------------------------------------- unlocking (4)

function parseRecoverySheet(text) {
  const parts = []
  for (let number = 1; number <= 4; number += 1) {
    const line = text
      .split(/\r?\n/)
      .find((candidate) => new RegExp(`^[ \\t]*${number}[ \\t]+[A-Za-z2-7 \\t]+$`).test(candidate))
    const letters = (line ?? '')
      .replace(/^[ \t]*\d/, '')
      .replace(/[ \t]/g, '')
      .toUpperCase()
    const bits = [...letters.slice(0, 13)].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0')).join('')
    const part = Buffer.from((bits.slice(0, 64).match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
    const expected =
      part.length === 8 ? base32(part) + base32(sha256(Buffer.of(number), part).subarray(0, 3)).slice(0, 4) : ''
    if (letters !== expected || expected === '')
      throw new Closed(`line ${number} of the recovery sheet is missing or mistyped`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function base32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((five) => BASE32[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')
}

/** The secret given, as `{ kind, bytes }`. */
function readSecret(options) {
  const given = ['recovery-sheet', 'passphrase-file', 'key-file'].filter((name) => options[name] !== undefined)
  if (given.length !== 1) throw new Usage('give one of --recovery-sheet, --passphrase-file and --key-file')
  let bytes
  try {
    bytes = fs.readFileSync(options[given[0]])
  } catch (error) {
    throw new Closed(`cannot read the file of --${given[0]} (${error.code})`)
  }
  if (given[0] === 'key-file') return { kind: 'key-file', bytes }
  if (given[0] === 'recovery-sheet') {
    if (bytes.length > 1 << 20) throw new Closed('the recovery sheet is longer than a page')
    return { kind: 'recovery-sheet', bytes: parseRecoverySheet(bytes.toString('utf8')) }
  }
  return {
    kind: 'passphrase',
    bytes: Buffer.from(
      bytes
        .toString('utf8')
        .replace(/\r?\n$/, '')
        .normalize('NFC'),
    ),
  }
}

function wrappingKey(kdf, secret) {
  const salt = Buffer.from(String(kdf?.salt), 'base64')
  if (kdf?.name === 'HKDF-SHA-256' && secret.kind !== 'passphrase')
    return hkdf(secret.bytes, salt, `chartkeep ${secret.kind}`)
  if (kdf?.name !== 'scrypt' || secret.kind !== 'passphrase')
    throw new Damage('names a key derivation that does not fit its kind')
  const { N, r, p } = kdf
  const honest = [N, r, p].every((value) => isCount(value) && value > 0) && N > 1 && Number.isInteger(Math.log2(N))
  if (!honest || 256 * N * r > 512 << 20 || p > 16) throw new Damage('asks for a derivation that no honest one needs')
  return scryptSync(secret.bytes, salt, 32, { N, r, p, maxmem: 256 * N * r + (1 << 20) })
}

/** @returns `{ master, repositoryId }` */
function unlock(folder, secret, report) {
  for (const name of folder.names('keys/')) {
    try {
      const { wrapped, ...head } = parseCanonical(folder.read(name, 16384), `object ${name}`, 16384)
      if (`keys/${head.id}` !== name) throw new Damage(`object ${name} is the wrapper ${head.id}`)
      if (head.kind !== secret.kind) continue
      const bytes = Buffer.from(String(wrapped), 'base64')
      const key = wrappingKey(head.kdf, secret)
      const master =
        bytes.length > 28 ? gcmOpen(key, bytes.subarray(0, 12), Buffer.from(canonical(head)), bytes.subarray(12)) : null
      if (master?.length === 32 && typeof head.repositoryId === 'string')
        return { master, repositoryId: head.repositoryId }
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      report(error.message.startsWith('object') ? error.message : `object ${name} ${error.message}`)
    }
  }
  throw new Closed(`this ${secret.kind} opens no wrapper of the repository`)
}

// ------------------------------------------------------------------------------------------------ the repository

class Repository {
  constructor(folder, { master, repositoryId }, report) {
    this.folder = folder
    this.id = repositoryId
    this.report = report
    const derive = (purpose) => hkdf(master, Buffer.from(repositoryId), `chartkeep ${purpose} v1`)
    this.saltKey = derive('salt')
    this.separatorKey = derive('separator')
    this.ledgerSeed = derive('ledger')
    this.configKey = derive('config')
    this.dataKeys = new Map()
    this.#readDataKeys(master)
    this.packs = new Map()
  }

  /** Section 5. */
  sealed(name, type, keys = this.dataKeys) {
    const bytes = this.folder.read(name)
    const what = `object ${name}`
    if (bytes.length < 48 || bytes.toString('latin1', 0, 6) !== 'CKSEAL') throw new Damage(`${what} has no header`)
    if (bytes[6] !== 1) throw new Damage(`${what} has format ${bytes[6]}, this program reads 1`)
    if (bytes[7] !== type) throw new Damage(`${what} is of type ${bytes[7]}, not ${type}`)
    if (bytes[8] !== 1) throw new Damage(`${what} has cipher ${bytes[8]}, which this program does not know`)
    const dataKey = keys.get(bytes.readUInt32LE(12))
    if (!dataKey) throw new Damage(`${what} names data key ${bytes.readUInt32LE(12)}, which is not there`)
    const header = bytes.subarray(0, 32)
    const key = hkdf(dataKey, header.subarray(16), 'chartkeep object')
    const opened = gcmOpen(key, Buffer.alloc(12), Buffer.concat([header, Buffer.from(name)]), bytes.subarray(32))
    if (!opened) throw new Damage(`${what} does not decrypt: altered, or put under another name`)
    if (bytes[9] > 1) throw new Damage(`${what} has compression ${bytes[9]}, which this program does not know`)
    return bytes[9] === 0 ? opened : unzstd(opened, OBJECT_BYTES_MAX, what)
  }

  json(name, type) {
    return parseCanonical(this.sealed(name, type), `object ${name}`)
  }

  /** Section 4. */
  verifyConfig() {
    const { config, mac, ...more } = parseCanonical(this.folder.read('config', 65536), 'object config')
    if (Object.keys(more).length > 0 || hex(hmac(this.configKey, canonical(config ?? null))) !== mac) {
      throw new Damage('object config was changed since the repository was made')
    }
    if (config.repositoryId !== this.id)
      throw new Damage(`object config is of repository ${config.repositoryId}, not ${this.id}`)
    if (config.format !== 1) throw new Damage(`the repository has format ${config.format}, this program reads 1`)
  }

  /** Section 12: `signerId → { publicKey, role, revocation }`. */
  readSigners() {
    this.signers = new Map()
    for (const name of this.folder.names('signers/')) {
      this.attempt(() => {
        const signer = this.json(name, SEAL.signer)
        if (`signers/${signer.signerId}` !== name) throw new Damage(`object ${name} is of another signer`)
        this.signers.set(signer.signerId, {
          publicKey: Buffer.from(String(signer.publicKey), 'base64'),
          role: signer.role,
          revocation: null,
        })
      })
    }
    for (const name of this.folder.names('revocations/')) {
      this.attempt(() => {
        const revocation = this.json(name, SEAL.revocation)
        if (`revocations/${revocation.signerId}` !== name) throw new Damage(`object ${name} is of another signer`)
        const signer = this.signers.get(revocation.signerId)
        if (signer) signer.revocation = revocation
      })
    }
  }

  /** Section 13: the chain, and every head and checkpoint against it. */
  readLedger() {
    this.ledger = []
    const entries = []
    this.attempt(() => {
      for (const [index, name] of this.folder.names('ledger/entries/').entries()) {
        const expected = `ledger/entries/${String(index).padStart(10, '0')}`
        if (name !== expected) throw new Damage(`object ${expected} is missing`)
        const bytes = this.sealed(name, SEAL.ledgerEntry)
        const entry = parseCanonical(bytes, `object ${name}`, 4096)
        if (Object.keys(entry).join() !== 'manifest,previous,snapshot,time')
          throw new Damage(`object ${name} has other members`)
        const previous = entries.length === 0 ? null : hex(sha256(entries.at(-1)))
        if (entry.previous !== previous) throw new Damage(`object ${name} does not continue the entry before it`)
        entries.push(bytes)
        this.ledger.push(entry)
      }
    })
    this.#verifyStates(entries)
  }

  /** Section 14. */
  verifyAudit() {
    let previous = null
    for (const [index, name] of this.folder.names('audit/').entries()) {
      const bytes = this.sealed(name, SEAL.audit)
      const entry = parseCanonical(bytes, `object ${name}`)
      if (entry.sequence !== index || entry.previous !== previous)
        throw new Damage(`audit entry ${index} is missing, or was changed`)
      previous = hex(sha256(bytes))
    }
  }

  /** Section 11. @returns `{ manifest, sha256, problems }`; problems are those of signature and ledger. */
  readManifest(id) {
    const name = `manifests/${id}`
    const { manifest, signature, ...more } = this.json(name, SEAL.manifest)
    if (Object.keys(more).length > 0 || !manifest || typeof manifest !== 'object')
      throw new Damage(`object ${name} is not a manifest`)
    if (manifest.format !== 1) throw new Damage(`object ${name} has format ${manifest.format}, this program reads 1`)
    if (manifest.snapshotId !== id || manifest.repositoryId !== this.id)
      throw new Damage(`object ${name} is of another snapshot or repository`)
    if (!Array.isArray(manifest.tables)) throw new Damage(`object ${name} lists no tables`)
    const plain = Buffer.from(canonical(manifest))
    const digest = hex(sha256(plain))
    const index = this.ledger.findIndex((entry) => entry.snapshot === id && entry.manifest === digest)
    const problems = []
    const signer = this.signers.get(signature?.signer)
    const message = Buffer.concat([Buffer.from('chartkeep manifest v1\n'), plain])
    const signed = signature?.algorithm === 'Ed25519' && signer?.role === 'agent'
    if (!signed) problems.push('is not signed by an agent that the repository knows')
    else if (!ed25519Verify(signer.publicKey, message, Buffer.from(String(signature.value), 'base64'))) {
      problems.push('has a signature that does not fit')
    } else if (signer.revocation && (index < 0 || !(index < signer.revocation.ledgerSize))) {
      problems.push('is signed by a key that was revoked before the ledger held it')
    }
    const isUnsigned = problems.length > 0
    if (index < 0) {
      const other = this.ledger.some((entry) => entry.snapshot === id)
      problems.push(
        other
          ? 'is not the manifest that the ledger holds'
          : 'is not in the ledger: planted, or of a run that died at its last step',
      )
    }
    return { manifest, problems: problems.map((problem) => `object ${name} ${problem}`), isUnsigned }
  }

  /** Section 10. */
  verifyPacks(manifest) {
    const name = `indexes/${manifest.snapshotId}`
    const plain = this.sealed(name, SEAL.index)
    if (hex(sha256(plain)) !== manifest.indexSha256)
      throw new Damage(`object ${name} is not the one that the manifest names`)
    for (const { packId, bytes, sha256: expected } of parseCanonical(plain, `object ${name}`).packs ?? []) {
      this.attempt(() => {
        if (!isHex(packId, 16)) throw new Damage(`object ${name} names a pack that cannot be`)
        const pack = packName(packId)
        if (this.folder.size(pack) !== bytes)
          throw new Damage(`object ${pack} has ${this.folder.size(pack)} bytes, its index says ${bytes}`)
        const found = this.folder.sha256(pack)
        if (found !== expected) throw new Damage(`object ${pack} has SHA-256 ${found}, its index says ${expected}`)
      })
    }
  }

  /** Section 6: one chunk, decrypted and decompressed. */
  chunk(type, { digest, packId, offset, storedBytes }) {
    const what = `chunk ${hex(digest).slice(0, 16)} at ${offset} of pack ${packId}`
    const pack = this.#pack(packId)
    const sealed = this.folder.range(packName(packId), offset, offset + storedBytes)
    const nonce = Buffer.alloc(12)
    nonce.writeBigUInt64LE(BigInt(offset))
    const payload = gcmOpen(pack.key, nonce, Buffer.concat([pack.header, Buffer.of(type), digest]), sealed)
    if (!payload) throw new Damage(`${what} does not decrypt: altered or moved`)
    const reader = new Reader(payload, what)
    const compression = reader.byte()
    const plainBytes = reader.varint()
    if (compression > 1 || plainBytes > PAYLOAD_BYTES_MAX)
      throw new Damage(`${what} has a head that this program does not know`)
    const body = reader.take(reader.rest)
    const plain = compression === 1 ? unzstd(body, plainBytes, what) : body
    if (plain.length !== plainBytes) throw new Damage(`${what} has ${plain.length} bytes, its head says ${plainBytes}`)
    return plain
  }

  /** Runs `work`; damage is reported and passed over. @returns whether there was none */
  attempt(work) {
    try {
      work()
      return true
    } catch (error) {
      if (!(error instanceof Damage)) throw error
      this.report(error.message)
      return false
    }
  }

  #pack(packId) {
    let pack = this.packs.get(packId)
    if (pack) return pack
    const name = packName(packId)
    const header = this.folder.range(name, 0, 32)
    if (header.toString('latin1', 0, 6) !== 'CKPACK') throw new Damage(`object ${name} has no header`)
    if (header[6] < 1 || header[6] > 2 || header[7] !== 1)
      throw new Damage(`object ${name} has a format or cipher that this program does not know`)
    if (hex(header.subarray(16)) !== packId) throw new Damage(`object ${name} holds another pack`)
    const dataKey = this.dataKeys.get(header.readUInt32LE(8))
    if (!dataKey) throw new Damage(`object ${name} names data key ${header.readUInt32LE(8)}, which is not there`)
    pack = { header, key: hkdf(dataKey, header.subarray(16), 'chartkeep pack') }
    // Keys are small, but a repository has packs by the ten thousand.
    if (this.packs.size >= 4096) this.packs.clear()
    this.packs.set(packId, pack)
    return pack
  }

  #readDataKeys(master) {
    for (const name of this.folder.names('data-keys/')) {
      this.attempt(() => {
        const key = this.sealed(name, SEAL.dataKey, new Map([[0, master]]))
        if (key.length !== 32) throw new Damage(`object ${name} is not a key`)
        this.dataKeys.set(Number(name.slice('data-keys/'.length)), key)
      })
    }
  }

  /** Heads and checkpoints of every size, in one walk: a root for each size by itself would take hours after ten years. */
  #verifyStates(entries) {
    const hashes = []
    for (const [index, bytes] of entries.entries()) {
      let carried = sha256(Buffer.of(0), bytes)
      for (let rest = index; rest % 2 === 1; rest = (rest - 1) / 2)
        carried = sha256(Buffer.of(1), hashes.pop(), carried)
      hashes.push(carried)
      const suffix = String(index + 1).padStart(10, '0')
      const root = hashes.reduceRight((right, left) => sha256(Buffer.of(1), left, right))
      if (this.folder.has(`ledger/checkpoints/${suffix}`))
        this.attempt(() => this.#verifyCheckpoint(suffix, index + 1, root))
      if (!this.folder.has(`ledger/heads/${suffix}`)) continue
      const state = {
        hashes: hashes.map(hex),
        lastEntry: hex(sha256(bytes)),
        lastSnapshot: this.ledger[index].snapshot,
        size: index + 1,
      }
      this.attempt(() => this.#verifyHead(`ledger/heads/${suffix}`, Buffer.from(canonical(state))))
    }
    for (const prefix of ['ledger/checkpoints/', 'ledger/heads/']) {
      const beyond = this.folder.names(prefix).find((name) => !(Number(name.slice(prefix.length)) <= entries.length))
      if (beyond)
        this.report(`object ${beyond} knows more entries than the ledger's ${entries.length}: the newest are gone`)
    }
  }

  #verifyHead(name, expected) {
    if (!this.sealed(name, SEAL.ledgerHead).equals(expected))
      throw new Damage(`object ${name} does not fit the ledger's entries`)
  }

  #verifyCheckpoint(suffix, size, root) {
    const name = `ledger/checkpoints/${suffix}`
    const note = this.folder.read(name, 1 << 20).toString('utf8')
    const split = note.lastIndexOf('\n\n')
    const text = note.slice(0, split + 1)
    const origin = `chartkeep/${this.id}`
    const rawKey = publicKeyOfSeed(this.ledgerSeed)
    const keyId = sha256(Buffer.from(`${origin}\n`), Buffer.of(1), rawKey).subarray(0, 4)
    const start = `— ${origin} `
    const lines = note
      .slice(split + 2)
      .split('\n')
      .slice(0, -1)
    const ours = lines
      .filter((line) => line.startsWith(start))
      .map((line) => canonicalBase64(line.slice(start.length)))
      .filter((bytes) => bytes.subarray(0, 4).equals(keyId))
    const isWellFormed = split > 0 && note.endsWith('\n') && lines.every((line) => line.startsWith('— '))
    const isSigned =
      ours.length > 0 && ours.every((bytes) => ed25519Verify(rawKey, Buffer.from(text), bytes.subarray(4)))
    if (!isWellFormed || !isSigned) throw new Damage(`object ${name} is not signed by the ledger's key`)
    const [first, count, rootText] = text.split('\n')
    if (first !== origin || count !== String(size)) throw new Damage(`object ${name} is of another ledger or size`)
    if (root.toString('base64') !== rootText)
      throw new Damage(`the first ${size} entries of the ledger are not those of its checkpoint`)
  }
}

const packName = (packId) => `packs/${packId.slice(0, 2)}/${packId}`

/** Empty for any spelling but the one that an encoder writes. */
function canonicalBase64(text) {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : Buffer.alloc(0)
}

function publicKeyOfSeed(seed) {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const { x } = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  })
  return Buffer.from(x, 'base64url')
}

/** RFC 6962 section 2.1, as it stands there. */
function merkleRoot(hashes) {
  if (hashes.length === 0) return sha256()
  if (hashes.length === 1) return hashes[0]
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  return sha256(Buffer.of(1), merkleRoot(hashes.slice(0, split)), merkleRoot(hashes.slice(split)))
}

// --------------------------------------------------------------------------------------------- trees (7, 8, 9)

class Reader {
  #at = 0

  constructor(bytes, what) {
    this.bytes = bytes
    this.what = what
  }

  get rest() {
    return this.bytes.length - this.#at
  }

  byte() {
    return this.take(1)[0]
  }

  varint() {
    let value = 0
    for (let scale = 1, count = 0; count < 8; scale *= 128, count += 1) {
      const byte = this.byte()
      value += (byte & 127) * scale
      if (byte < 128 && Number.isSafeInteger(value)) return value
      if (byte < 128) break
    }
    throw new Damage(`${this.what} holds a number beyond 2^53`)
  }

  take(count) {
    if (count > this.rest) throw new Damage(`${this.what} ends early`)
    this.#at += count
    return this.bytes.subarray(this.#at - count, this.#at)
  }

  end() {
    if (this.rest > 0) throw new Damage(`${this.what} has ${this.rest} bytes too many`)
  }
}

/** One tree: walks it, proves it, and hands out the lines of each leaf. */
class Tree {
  #repository
  #spec
  #name
  #previousKey = null

  /** `spec`: `{ name, fieldCount, anchor, key }`, fields by their numbers. */
  constructor(repository, spec) {
    this.#repository = repository
    this.#spec = spec
    this.#name = Buffer.concat([Buffer.from(spec.name), Buffer.of(0)])
  }

  /** `onLeaf(text)` for each leaf that is whole; `onLoss(rows)` for each part that is not. */
  walk(root, onLeaf, onLoss) {
    const { digest, level, rows, textBytes, pack, offset, storedBytes } = root
    const numbers = [rows, textBytes, offset, storedBytes]
    if (!isHex(digest, 32) || !isHex(pack, 16) || !numbers.every(isCount) || !(level >= 1 && level <= 64)) {
      throw new Damage(`the manifest's root of ${this.#spec.name} is none`)
    }
    const entry = {
      digest: Buffer.from(digest, 'hex'),
      rows,
      textBytes,
      lastKey: null,
      packId: pack,
      offset,
      storedBytes,
    }
    this.#walkNode(entry, level, onLeaf, onLoss)
  }

  #walkNode(entry, level, onLeaf, onLoss) {
    const children = this.#attempt(entry, onLoss, () => this.#readNode(entry, level))
    for (const child of children ?? []) {
      if (level > 1) this.#walkNode(child, level - 1, onLeaf, onLoss)
      else {
        const text = this.#attempt(child, onLoss, () => this.#readLeaf(child))
        // The order of the leaves stands in the node, which was proved: a lost leaf does not hide where the next begins.
        this.#previousKey = child.lastKey
        if (text) onLeaf(text)
      }
    }
  }

  #attempt(entry, onLoss, read) {
    let found = null
    const whole = this.#repository.attempt(() => {
      found = read()
    })
    if (!whole) onLoss(entry.rows)
    return found
  }

  #readNode(entry, level) {
    const what = `node ${hex(entry.digest).slice(0, 16)} of ${this.#spec.name}`
    const reader = new Reader(this.#repository.chunk(CHUNK.node, entry), what)
    if (reader.byte() !== level) throw new Damage(`${what} is of another level than its parent says`)
    const count = reader.varint()
    const packCount = reader.varint()
    if (count > CHILDREN_MAX || packCount * 16 > reader.rest) throw new Damage(`${what} claims more than it can hold`)
    const packIds = Array.from({ length: packCount }, () => hex(reader.take(16)))
    const children = []
    for (let previous = Buffer.alloc(0); children.length < count; previous = children.at(-1).lastKey) {
      children.push(readChild(reader, packIds, previous, what))
    }
    reader.end()
    this.#proveNode(what, entry, level, children)
    return children
  }

  #proveNode(what, entry, level, children) {
    const head = Buffer.alloc(6)
    head[0] = 2
    head[1] = level
    head.writeUInt32LE(children.length, 2)
    const hash = createHash('sha256').update(head)
    const sums = { rows: 0, textBytes: 0 }
    for (const [index, child] of children.entries()) {
      const rows = Buffer.alloc(8)
      rows.writeBigUInt64LE(BigInt(child.rows))
      hash
        .update(child.digest)
        .update(rows)
        .update(hmac(this.#repository.separatorKey, this.#name, child.lastKey))
      sums.rows += child.rows
      sums.textBytes += child.textBytes
      if (index > 0 && children[index - 1].lastKey.compare(child.lastKey) >= 0)
        throw new Damage(`${what} has children out of order`)
    }
    if (!hash.digest().equals(entry.digest)) throw new Damage(`${what} has another digest`)
    if (sums.rows !== entry.rows || sums.textBytes !== entry.textBytes)
      throw new Damage(`${what} holds other sums than its parent says`)
    const last = children.at(-1)?.lastKey ?? null
    if (entry.lastKey !== null && !last?.equals(entry.lastKey))
      throw new Damage(`${what} ends at another key than its parent says`)
  }

  #readLeaf(entry) {
    const what = `leaf ${hex(entry.digest).slice(0, 16)} of ${this.#spec.name}`
    const text = joinColumns(this.#repository.chunk(CHUNK.leaf, entry), {
      ...entry,
      columns: this.#spec.fieldCount,
      what,
    })
    this.#proveLeaf(what, text, entry)
    return text
  }

  /** Section 8: digest, order of keys, last key. */
  #proveLeaf(what, text, entry) {
    const groups = []
    let group = null
    let groupAnchor = null
    let previous = this.#previousKey
    for (let start = 0; start < text.length; ) {
      const end = text.indexOf(10, start)
      const { anchor, key } = this.#keyOf(text.subarray(start, end), previous, what)
      if (previous !== null && previous.compare(key) >= 0) throw new Damage(`${what} has rows out of order`)
      previous = key
      if (groupAnchor === null || !groupAnchor.equals(anchor)) {
        if (group) groups.push(group.digest())
        groupAnchor = anchor
        group = createHash('sha256')
          .update(Buffer.of(0))
          .update(hmac(this.#repository.saltKey, this.#name, anchor))
      }
      group.update(text.subarray(start, end + 1))
      start = end + 1
    }
    if (group) groups.push(group.digest())
    if (!merkleRoot(groups).equals(entry.digest)) throw new Damage(`${what} holds rows of another digest`)
    if (!previous?.equals(entry.lastKey)) throw new Damage(`${what} ends at another key than its parent says`)
  }

  #keyOf(line, previous, what) {
    const { anchor, key, fieldCount } = this.#spec
    const fields = splitFields(line)
    if (fields.length !== fieldCount)
      throw new Damage(`${what} has a row of ${fields.length} fields, its table has ${fieldCount}`)
    const anchorBytes = anchor === null ? Buffer.alloc(0) : encodeField(fields[anchor])
    if (key.length > 0)
      return {
        anchor: anchorBytes,
        key: Buffer.concat([anchorBytes, ...key.map((field) => encodeField(fields[field]))]),
      }
    const head = Buffer.concat([anchorBytes, sha256(line).subarray(0, 16)])
    const ordinal = Buffer.alloc(4)
    const isRepeated = previous?.length === head.length + 4 && previous.subarray(0, -4).equals(head)
    if (isRepeated) ordinal.writeUInt32BE((previous.readUInt32BE(head.length) + 1) >>> 0)
    return { anchor: anchorBytes, key: Buffer.concat([head, ordinal]) }
  }
}

function readChild(reader, packIds, previous, what) {
  const digest = Buffer.from(reader.take(32))
  const rows = reader.varint()
  const textBytes = reader.varint()
  const shared = reader.varint()
  if (shared > previous.length) throw new Damage(`${what} shares more of a key than there is`)
  const lastKey = Buffer.concat([previous.subarray(0, shared), reader.take(reader.varint())])
  const packId = packIds[reader.varint()]
  if (packId === undefined) throw new Damage(`${what} names a pack that it does not list`)
  return { digest, rows, textBytes, lastKey, packId, offset: reader.varint(), storedBytes: reader.varint() }
}

/** Tabs never stand inside a field. */
function splitFields(line) {
  const fields = []
  let start = 0
  for (let tab = line.indexOf(9); tab >= 0; tab = line.indexOf(9, start)) {
    fields.push(line.subarray(start, tab))
    start = tab + 1
  }
  fields.push(line.subarray(start))
  return fields
}

/** Section 7. */
function encodeField(field) {
  const text = field.toString('latin1')
  if (text === '\\N') return Buffer.of(0x01)
  if (/^(0|-?[1-9][0-9]{0,61})$/.test(text)) {
    const digits = text.startsWith('-') ? text.slice(1) : text
    if (!text.startsWith('-')) return Buffer.concat([Buffer.of(0x40 + digits.length), Buffer.from(digits)])
    const complement = [...digits].map((digit) => String(9 - Number(digit))).join('')
    return Buffer.concat([Buffer.of(0x40 - digits.length), Buffer.from(complement)])
  }
  const bytes = []
  for (const byte of field) bytes.push(...(byte === 0 ? [0, 0xff] : [byte]))
  return Buffer.from([0x80, ...bytes, 0, 1])
}

/** Section 8: a leaf's columns as lines. What is allocated is what the columns hold, and never what a head claims. */
function joinColumns(encoded, { rows, columns, textBytes, what }) {
  const reader = new Reader(encoded, what)
  if (reader.varint() !== rows || reader.varint() !== columns)
    throw new Damage(`${what} has other rows or columns than its parent says`)
  if (rows > LEAF_ROWS_MAX) throw new Damage(`${what} claims more rows than a leaf can have`)
  const heads = Array.from({ length: columns }, () => ({ codec: reader.byte(), bytes: reader.varint() }))
  const decoded = []
  for (const head of heads) {
    const place = { rows, what, earlier: decoded, textBytes }
    decoded.push(decodeColumn(head.codec, reader.take(head.bytes), place))
  }
  reader.end()
  const total = decoded.reduce((sum, column) => sum + column.total, 0)
  if (total !== textBytes) throw new Damage(`${what} holds ${total} bytes of text, its parent says ${textBytes}`)

  const text = Buffer.alloc(total)
  let at = 0
  for (let row = 0; row < rows; row += 1) {
    for (const [index, column] of decoded.entries()) {
      at += column.copy(row, text, at)
      text[at] = index + 1 < columns ? 9 : 10
      at += 1
    }
  }
  return text
}

/**
 * `{ total, copy, numbers }`: bytes of the column in the lines, separators included; one field of it; and, of a column of
 * patterns, what its first slot had last at each row.
 */
function decodeColumn(codec, bytes, { rows, what, earlier, textBytes }) {
  if (codec === 1) {
    if (bytes.includes(9) || bytes.includes(10)) throw new Damage(`${what} has a separator within a field`)
    return { total: rows * (bytes.length + 1), copy: (_, text, at) => bytes.copy(text, at) }
  }
  if (codec === 3) return patternsToText(bytes, { rows, what, earlier, textBytes })
  if (codec !== 0 && codec !== 2)
    throw new Damage(`${what} uses column codec ${codec}, which this program does not know`)
  return linesOf(codec === 2 ? integersToText(bytes, rows, what) : bytes, rows, what)
}

/** A column whose fields are all there, each ended by a newline. */
function linesOf(plain, rows, what) {
  const ends = []
  for (let at = plain.indexOf(10); at >= 0 && ends.length <= rows; at = plain.indexOf(10, at + 1)) ends.push(at)
  if (ends.length !== rows || (ends.at(-1) ?? -1) !== plain.length - 1)
    throw new Damage(`${what} has a column of another length`)
  const copy = (row, text, at) => plain.copy(text, at, row === 0 ? 0 : ends[row - 1] + 1, ends[row])
  return { total: plain.length, copy }
}

function integersToText(bytes, rows, what) {
  const reader = new Reader(bytes, `a column of ${what}`)
  const lines = []
  let value = 0
  while (reader.rest > 0) {
    const zigzag = reader.varint()
    value += zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2
    lines.push(value)
    if (lines.length > rows) throw new Damage(`${what} has a column of another length`)
  }
  return Buffer.from(lines.map((number) => `${number}\n`).join(''), 'latin1')
}

/** Section 8, codec 3. */
function patternsToText(bytes, { rows, what, earlier, textBytes }) {
  const reader = new Reader(bytes, `a column of ${what}`)
  const count = reader.varint()
  if (count < 1 || count > 255) throw new Damage(`${what} has a column of ${count} templates`)
  const templates = Array.from({ length: count }, () => parseTemplate(reader, what))
  const indexes = count > 1 ? reader.take(rows) : new Uint8Array(rows)
  if (indexes.some((index) => index >= count)) throw new Damage(`${what} names a template that it lacks`)
  const streams = []
  for (let slot = 0; templates.some((template) => template.slots.length > slot); slot += 1) {
    const taking = indexes.reduce((sum, index) => sum + (templates[index].slots.length > slot ? 1 : 0), 0)
    streams.push(readNumbers(reader, taking, earlier, what))
  }
  reader.end()

  const parts = []
  const numbers = new Float64Array(rows)
  let last = 0
  let left = textBytes
  for (let row = 0; row < rows; row += 1) {
    const { literals, slots } = templates[indexes[row]]
    const field = [literals[0]]
    for (const [slot, kind] of slots.entries()) {
      const number = streams[slot](row)
      if (slot === 0) last = number
      field.push(Buffer.from(writeNumber(kind, number, what), 'latin1'), literals[slot + 1])
    }
    numbers[row] = last
    field.push(Buffer.of(10))
    for (const part of field) left -= part.length
    if (left < 0) throw new Damage(`${what} holds more text than its parent says`)
    parts.push(...field)
  }
  return { ...linesOf(Buffer.concat(parts), rows, what), numbers: streams.length > 0 ? numbers : null }
}

/** `{ literals, slots }`: the bytes around the slots, one more than slots; and what each slot writes. */
function parseTemplate(reader, what) {
  const literals = []
  const slots = []
  let literal = []
  for (;;) {
    const byte = reader.byte()
    if (byte === 10) return { literals: [...literals, Buffer.from(literal)], slots }
    if (byte !== 9) {
      literal.push(byte)
      continue
    }
    const kind = reader.byte()
    const isKnown = (kind >= 0x10 && kind <= 0x1e) || (kind >= 0x22 && kind <= 0x2f) || (kind >= 0x30 && kind <= 0x32)
    if (!isKnown || slots.length === 8) throw new Damage(`${what} has a template that this program does not know`)
    slots.push(kind)
    literals.push(Buffer.from(literal))
    literal = []
  }
}

const NUMBER_MAX = 999_999_999_999_999

/** @returns a function that gives the next number; it is told the row */
function readNumbers(reader, count, earlier, what) {
  const flags = reader.byte()
  const mode = flags & 3
  const width = (flags >> 4) & 7
  if (flags & 0x88 || mode === 3) throw new Damage(`${what} has numbers of an unknown kind`)
  const base = unzigzag(reader.varint())
  const unit = reader.varint()
  let before = mode === 1 ? unzigzag(reader.varint()) : 0
  const other = mode === 2 ? earlier[reader.varint()]?.numbers : null
  if (mode === 2 && !other) throw new Damage(`${what} has numbers that follow no column before them`)
  if (unit < 1 || unit > 4 * NUMBER_MAX || Math.abs(base) > 2 * NUMBER_MAX || Math.abs(before) > 3 * NUMBER_MAX)
    throw new Damage(`${what} holds a number out of range`)
  const planes = reader.take(width * count)
  let at = 0
  return (row) => {
    let number = 0
    for (let plane = width - 1; plane >= 0; plane -= 1) number = number * 256 + planes[plane * count + at]
    at += 1
    const units = flags & 4 ? unzigzag(number) : number
    const reference = mode === 0 ? 0 : mode === 1 ? before : other[row]
    before = reference + base + unit * units
    const isExact = number <= 8 * NUMBER_MAX && Math.abs(units) <= Math.floor((4 * NUMBER_MAX) / unit)
    if (!isExact || Math.abs(before) > NUMBER_MAX) throw new Damage(`${what} holds a number out of range`)
    return before
  }
}

function unzigzag(number) {
  return number % 2 === 1 ? -(number + 1) / 2 : number / 2
}

function writeNumber(kind, number, what) {
  const refuse = () => {
    throw new Damage(`${what} holds a number that its slot cannot write`)
  }
  if (kind < 0x20) {
    const places = kind - 0x10
    const digits = String(Math.abs(number)).padStart(places + 1, '0')
    const point = digits.length - places
    return `${number < 0 ? '-' : ''}${digits.slice(0, point)}${places > 0 ? `.${digits.slice(point)}` : ''}`
  }
  if (kind < 0x30) {
    const width = kind - 0x20
    return number >= 0 && number < 10 ** width ? String(number).padStart(width, '0') : refuse()
  }
  if (kind === 0x32) {
    if (number < 1 || number > 999_999) refuse()
    return `.${String(number).padStart(6, '0').replace(/0+$/, '')}`
  }
  const seconds = kind === 0x31 ? number * 86_400 : number
  if (seconds < -62_135_596_800 || seconds > 253_402_300_799) refuse()
  const iso = new Date(seconds * 1000).toISOString()
  return kind === 0x31 ? iso.slice(0, 10) : `${iso.slice(0, 10)} ${iso.slice(11, 19)}`
}

// ------------------------------------------------------------------------------------------------ change logs (17)

const CHANGE_KINDS = ['insert', 'update', 'delete', 'truncate']

function parseLsn(text, what) {
  if (typeof text !== 'string' || !/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/.test(text))
    throw new Damage(`${what} has no LSN where one belongs`)
  const [high, low] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

const formatLsn = (lsn) => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()

/** One log: its start, and its segments, each proved against the one before. */
class Log {
  constructor(repository, logId) {
    this.repository = repository
    this.logId = logId
    const name = `logs/${logId}`
    this.start = repository.json(name, SEAL.logStart)
    if (this.start.format !== 1)
      throw new Damage(`object ${name} has format ${this.start.format}, this program reads 1`)
    if (this.start.logId !== logId || this.start.repositoryId !== repository.id)
      throw new Damage(`object ${name} is of another log or repository`)
    this.startLsn = parseLsn(this.start.startLsn, `object ${name}`)
    this.trim = this.#readTrim()
  }

  /** Where the log begins, when its beginning was given up on purpose (20). */
  #readTrim() {
    const name = this.repository.folder.names(`trims/${this.logId}/`).at(-1)
    if (name === undefined) return null
    const { logId, first, start, previous } = this.repository.json(name, SEAL.logTrim)
    if (logId !== this.logId || name !== `trims/${logId}/${String(first).padStart(10, '0')}`)
      throw new Damage(`object ${name} is of another log`)
    return { first, start: parseLsn(start, `object ${name}`), previous }
  }

  /** `onSegment(header, transactions)` for each that is whole, in order; every place where the chain breaks is reported. */
  walk(onSegment) {
    const prefix = `segments/${this.logId}/`
    const first = this.trim?.first ?? 0
    let before = this.trim
      ? { number: first - 1, end: this.trim.start, sha256: this.trim.previous, header: null }
      : { number: -1, end: this.startLsn, sha256: null, header: null }
    for (const name of this.repository.folder.names(prefix)) {
      const number = Number(name.slice(prefix.length))
      if (name !== `${prefix}${String(number).padStart(10, '0')}`) {
        this.repository.report(`object ${name} has the name of no segment`)
        continue
      }
      if (number < first) continue
      if (number > before.number + 1)
        this.repository.report(
          `change log ${this.logId}: segments ${before.number + 1} to ${number - 1} are missing: no change behind ${formatLsn(before.end)} is known until the next one`,
        )
      const isNext = number === before.number + 1
      const previous = before
      // What does not open leaves the next one unproved against it, and that is all.
      before = { ...previous, number, sha256: undefined, header: null }
      this.repository.attempt(() => {
        const segment = readSegment(this.repository.sealed(name, SEAL.segment), `object ${name}`)
        this.#prove(name, segment, number, isNext ? previous : { sha256: undefined })
        before = { number, end: segment.end, sha256: segment.sha256, header: segment.header }
        onSegment(segment.header, segment.transactions)
      })
    }
    const { end } = before
    return { segments: before.number + 1 - first, end }
  }

  #prove(name, { header, start, end }, number, before) {
    if (header.logId !== this.logId || header.number !== number || header.sourceName !== this.start.sourceName)
      throw new Damage(`object ${name} is of another log, number or source`)
    if (end < start) throw new Damage(`object ${name} ends before it begins`)
    if (before.sha256 === undefined) return
    const isChained = header.previous === before.sha256 && start === before.end
    const isFenced = (header.leaseToken ?? 0) >= (before.header?.leaseToken ?? 0)
    if (!isChained || !isFenced || (header.continues && before.header?.unfinished !== true))
      throw new Damage(`object ${name} does not continue the segment before it`)
  }
}

function readSegment(plain, what) {
  const reader = new Reader(plain, what)
  if (reader.take(6).toString('latin1') !== 'CKSEGM') throw new Damage(`${what} is no segment`)
  const version = reader.byte()
  if (version !== 1) throw new Damage(`${what} has segment format ${version}, this program reads 1`)
  const header = parseCanonical(reader.take(reader.varint()), what)
  if (header.format !== 1) throw new Damage(`${what} has format ${header.format}, this program reads 1`)
  if (!Array.isArray(header.tables) || !header.tables.every((table) => Array.isArray(table?.columns)))
    throw new Damage(`${what} lists no tables`)
  const transactions = []
  const sums = { changes: 0, textBytes: 0 }
  while (reader.rest > 0) transactions.push(readTransaction(reader, header.tables, sums, what))
  if (
    transactions.length !== header.transactions ||
    sums.changes !== header.changes ||
    sums.textBytes !== header.textBytes
  )
    throw new Damage(`${what} holds other counts than its head says`)
  const [start, end] = [parseLsn(header.start, what), parseLsn(header.end, what)]
  proveOrder(transactions, { start, end, unfinished: header.unfinished === true }, what)
  return { header, transactions, start, end, sha256: hex(sha256(plain)) }
}

function readTransaction(reader, tables, sums, what) {
  const xid = reader.varint()
  const stamps = reader.take(24)
  const markBytes = reader.varint()
  const mark = markBytes === 0 ? null : reader.take(markBytes - 1).toString('utf8')
  const changes = []
  for (let left = reader.varint(); left > 0; left -= 1) {
    const flags = reader.byte()
    const table = tables[reader.varint()]
    if (flags > 15 || table === undefined) throw new Damage(`${what} has a change that cannot be`)
    const line = (flag) => {
      if ((flags & flag) === 0) return null
      const bytes = reader.take(reader.varint())
      const fields = splitFields(bytes).length
      if (bytes.includes(10) || fields !== Math.max(1, table.columns.length))
        throw new Damage(`${what} has a row of ${fields} fields, its table has ${table.columns.length}`)
      sums.textBytes += bytes.length
      return bytes
    }
    changes.push({ kind: CHANGE_KINDS[flags & 3], table, before: line(4), after: line(8) })
  }
  sums.changes += changes.length
  const [commitLsn, endLsn] = [stamps.readBigUInt64LE(0), stamps.readBigUInt64LE(8)]
  return { xid, commitLsn, endLsn, commitTimeUs: stamps.readBigInt64LE(16), mark, changes }
}

function proveOrder(transactions, { start, end, unfinished }, what) {
  let floor = start
  for (const [index, { commitLsn, endLsn }] of transactions.entries()) {
    const isPart = unfinished && index === transactions.length - 1
    if (commitLsn < floor || endLsn <= commitLsn || (isPart ? commitLsn < end : endLsn > end))
      throw new Damage(`${what} has transactions that are not where its span says`)
    floor = endLsn
  }
}

function isoMicroseconds(us) {
  const micro = ((us % 1000n) + 1000n) % 1000n
  const date = new Date(Number((us - micro) / 1000n))
  if (Number.isNaN(date.getTime())) return `${us} µs`
  return date.toISOString().replace('Z', `${String(micro).padStart(3, '0')}Z`)
}

/**
 * A line each: commit LSN, commit time, xid, part, kind, table, which row, and the row as COPY has it. A transaction of
 * which there is a `first` part and no `last` behind it was broken off: it does not count, and stands again if it ever did.
 */
function changeLines({ header, transaction, index }) {
  const continued = index === 0 && header.continues
  const broken = index === header.transactions - 1 && header.unfinished
  const part = continued ? (broken ? 'middle' : 'last') : broken ? 'first' : 'whole'
  const stamp = `${formatLsn(transaction.commitLsn)}\t${isoMicroseconds(transaction.commitTimeUs)}\t${transaction.xid}\t${part}`
  return transaction.changes.flatMap(({ kind, table, before, after }) => {
    const head = Buffer.from(`${stamp}\t${kind}\t${oneLine(table.name)}\t`)
    const rows = [
      ['before', before],
      ['after', after],
    ].filter(([, line]) => line !== null)
    if (rows.length === 0) return [head, Buffer.from('-\n')]
    return rows.flatMap(([which, line]) => [head, Buffer.from(`${which}\t`), line, Buffer.from('\n')])
  })
}

function logs(repository, out) {
  const starts = repository.folder.names('logs/').map((name) => name.slice('logs/'.length))
  if (out !== undefined) {
    if (fs.existsSync(out) && fs.readdirSync(out).length > 0) throw new Usage(`${out} is not empty`)
    fs.mkdirSync(out, { recursive: true, mode: 0o700 })
  }
  for (const logId of starts) repository.attempt(() => oneLog(new Log(repository, logId), out))
  if (starts.length === 0) say('there is no change log in the repository')
}

function oneLog(log, out) {
  const { sourceName, startLsn, createdAt, previousLog } = log.start
  say(`log ${log.logId}  ${oneLine(sourceName)}  from ${startLsn}  ${createdAt}`)
  if (previousLog)
    say(`  in place of ${previousLog.logId}, which ended at ${previousLog.end}: ${oneLine(previousLog.reason)}`)
  const file = out === undefined ? null : fs.openSync(join(out, `${log.logId}.changes`), 'wx', 0o600)
  try {
    const { segments, end } = log.walk((header, transactions) => {
      const flags = [header.continues ? 'continues' : '', header.unfinished ? 'unfinished' : ''].filter(Boolean)
      say(
        `  ${String(header.number).padStart(10, '0')}  ${header.start} to ${header.end}  ${header.sealedAt}  ${header.transactions} transactions  ${header.changes} changes  ${flags.join(' ')}`.trimEnd(),
      )
      for (const { table, reason } of header.closed ?? []) say(`    closes ${oneLine(table)}: ${oneLine(reason)}`)
      if (file === null) return
      for (const [index, transaction] of transactions.entries()) {
        const text = Buffer.concat(changeLines({ header, transaction, index }))
        for (let at = 0; at < text.length; ) at += fs.writeSync(file, text, at)
      }
    })
    say(`  ${segments} segments, to ${formatLsn(end)}`)
  } finally {
    if (file !== null) fs.closeSync(file)
  }
}

// ------------------------------------------------------------------------------------------------- writing it out

/** @returns `{ rows, lostRows, file }` of one table */
function writeTable(repository, table, out, file) {
  const spec = specOf(table)
  const partial = join(out, `${file}.incomplete.copy`)
  const handle = fs.openSync(partial, 'wx', 0o600)
  let rows = 0
  let lostRows = 0
  try {
    const onLeaf = (text) => {
      for (let at = 0; at < text.length; ) at += fs.writeSync(handle, text, at)
      for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) rows += 1
    }
    new Tree(repository, spec).walk(table.rows, onLeaf, (lost) => {
      lostRows += lost
    })
  } finally {
    fs.closeSync(handle)
  }
  if (rows + lostRows !== table.rows.rows)
    throw new Damage(`table ${table.name} gave ${rows} rows, the manifest says ${table.rows.rows}`)
  const isWhole = lostRows === 0
  if (isWhole) fs.renameSync(partial, join(out, `${file}.copy`))
  return { rows, lostRows, file: `${file}${isWhole ? '' : '.incomplete'}.copy` }
}

/** The rows do not need the locator; that it is whole is said all the same. */
function proveLocator(repository, table) {
  const spec = specOf(table)
  const hasLocator = spec.anchor !== null && spec.key.length > 0 && !spec.key.includes(spec.anchor)
  if (hasLocator !== (table.locator !== null))
    throw new Damage(`table ${table.name} has a locator where none belongs, or none where one does`)
  if (!hasLocator) return
  if (table.locator.rows !== table.rows.rows)
    throw new Damage(`the locator of ${table.name} has ${table.locator.rows} rows, its table ${table.rows.rows}`)
  const key = spec.key.map((_, index) => index)
  const locator = { name: `${table.name}#locator`, fieldCount: spec.key.length + 1, anchor: null, key }
  new Tree(repository, locator).walk(
    table.locator,
    () => {},
    () => {},
  )
}

/** Neither do they need the tree of changes, which a snapshot may have beside them (section 17). */
function proveChanges(repository, table) {
  if (!table.changes) return
  const spec = specOf(table)
  const row = (spec.anchor === null ? 0 : 1) + 3
  const changes = {
    name: `${table.name}#changes`,
    fieldCount: row + spec.fieldCount,
    anchor: spec.anchor === null ? null : 0,
    key: [...spec.key.map((field) => row + field), row - 3],
  }
  new Tree(repository, changes).walk(
    table.changes,
    () => {},
    () => {},
  )
}

function proveTransactions(repository, { log }) {
  if (!log?.transactions) return
  const spec = { name: '#transactions', fieldCount: 7, anchor: null, key: [0] }
  new Tree(repository, spec).walk(
    log.transactions,
    () => {},
    () => {},
  )
}

function specOf(table) {
  const columns = Array.isArray(table.columns) ? table.columns.map((column) => column.name) : []
  const position = (name) => {
    const found = columns.indexOf(name)
    if (found < 0) throw new Damage(`table ${table.name} has no column ${name}`)
    return found
  }
  return {
    name: table.name,
    fieldCount: columns.length,
    anchor: table.anchor === null ? null : position(table.anchor),
    key: (table.primaryKey ?? []).map(position),
  }
}

/** A name for every file system, and none twice. */
function fileNames(tables) {
  const taken = new Set()
  return tables.map((table, index) => {
    const plain = String(table.name)
      .normalize('NFC')
      .replace(/[^\p{L}\p{N}._-]+/gu, '_')
      .replace(/^[._]+/, '')
    let name = [...plain].slice(0, 60).join('') || 'table'
    if (taken.has(name.toLowerCase())) name = `${name}-${index}`
    taken.add(name.toLowerCase())
    return name
  })
}

const PHASES = ['before-rows', 'key-or-index', 'attach', 'foreign-key', 'after']
const SESSION = [
  "SET client_encoding = 'UTF8'",
  'SET standard_conforming_strings = on',
  "SET datestyle = 'ISO, YMD'",
  "SET intervalstyle = 'postgres'",
  "SET timezone = 'UTC'",
  "SET lc_monetary = 'C'",
  'SET check_function_bodies = off',
  "SELECT pg_catalog.set_config('search_path', '', false)",
]

const quoteText = (text) => `'${String(text).replaceAll("'", "''")}'`
const quoteName = (name) => `"${String(name).replaceAll('"', '""')}"`
const oneLine = (text) => String(text).replace(/[\r\n]+/g, ' ')

function statementsOf(manifest, phase) {
  const steps = (manifest.ddl?.steps ?? []).filter((step) => step.phase === phase)
  return steps.map(
    ({ object, sql }) =>
      `-- ${oneLine(object)}\n${sql.trimEnd().endsWith(';') ? sql.trimEnd() : `${sql.trimEnd()};`}\n`,
  )
}

function sequenceStatements(manifest) {
  return (manifest.sequences ?? [])
    .filter(({ lastValue }) => /^-?\d+$/.test(lastValue))
    .map(
      ({ sqlName, lastValue, isCalled }) =>
        `SELECT pg_catalog.setval(${quoteText(sqlName)}, ${lastValue}, ${isCalled === true});\n`,
    )
}

function writeScripts(manifest, written, out) {
  const session = SESSION.map((statement) => `${statement};\n`)
  const schema = PHASES.flatMap((phase) => [`\n-- ${phase}\n\n`, ...statementsOf(manifest, phase)])
  const encoding = quoteText(manifest.source?.encoding ?? 'UTF8')
  const copies = written.map(({ table, file }) => {
    const columns = table.columns.map((column) => quoteName(column.name)).join(', ')
    return `\\copy ${oneLine(table.sqlName)} (${columns}) from ${quoteText(file)} with (format text, encoding ${encoding})\n`
  })
  const load = [
    '\\set ON_ERROR_STOP on\n',
    ...session,
    ...statementsOf(manifest, 'before-rows'),
    ...copies,
    ...PHASES.slice(1).flatMap((phase) => statementsOf(manifest, phase)),
    ...sequenceStatements(manifest),
  ]
  write(
    join(out, 'schema.sql'),
    [...session, ...schema, '\n-- sequences\n\n', ...sequenceStatements(manifest)].join(''),
  )
  write(join(out, 'load.sql'), load.join(''))
}

function writeReadme(manifest, written, problems, out) {
  const lines = [
    `Snapshot ${manifest.snapshotId} of ${manifest.source?.databaseName} (${manifest.source?.serverVersion}), as of ${manifest.position?.sourceTime}.`,
    '',
    'Whoever holds these files can read every patient in them. Delete them when they are loaded.',
    '',
    'Into an empty database, from this directory:',
    '',
    '    psql -v ON_ERROR_STOP=1 -d DATABASE -f load.sql',
    '',
    'load.sql makes the tables, loads them with \\copy, then makes keys, indexes and the rest, and sets the sequences.',
    'schema.sql holds the same statements without the rows. One table by hand, once its table is there:',
    '',
    "    \\copy schema.table (column, …) from 'FILE.copy' with (format text, encoding 'UTF8')",
    '',
    'The text is that of COPY with datestyle ISO, intervalstyle postgres and time zone UTC. Rows stand in order of their keys.',
    '',
    ...written.map(
      ({ table, rows, lostRows, file }) =>
        `${file}  ${table.name}  ${rows} rows${lostRows > 0 ? `, ${lostRows} MISSING` : ''}`,
    ),
    '',
    problems.length === 0 ? 'Every digest, the signature and the ledger were verified.' : 'What was wrong:',
    ...problems.map((problem) => `  - ${problem}`),
    '',
  ]
  write(join(out, 'README.txt'), lines.join('\n'))
}

function write(path, text) {
  fs.writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
}

// ------------------------------------------------------------------------------------------------------- the program

function parseArguments(argv) {
  const options = {}
  const flags = ['list', 'log', 'even-unsigned', 'help']
  const values = ['repo', 'out', 'snapshot', 'recovery-sheet', 'passphrase-file', 'key-file']
  for (let at = 0; at < argv.length; at += 1) {
    const name = argv[at].replace(/^--/, '')
    if (argv[at].startsWith('--') && flags.includes(name)) options[name] = true
    else if (argv[at].startsWith('--') && values.includes(name) && argv[at + 1] !== undefined)
      options[name] = argv[++at]
    else throw new Usage(`unknown argument, or one without its value: ${argv[at]}`)
  }
  return options
}

function list(repository) {
  for (const name of repository.folder.names('manifests/')) {
    repository.attempt(() => {
      const { manifest, problems } = repository.readManifest(name.slice('manifests/'.length))
      for (const problem of problems) repository.report(problem)
      const rows = manifest.tables.reduce((sum, table) => sum + (table.rows?.rows ?? 0), 0)
      const verdict = problems.length === 0 ? '' : '  NOT PROVED'
      say(
        `${manifest.snapshotId}  ${manifest.sourceName}  ${manifest.position?.sourceTime}  ${manifest.mode}  ${manifest.tables.length} tables  ${rows} rows${verdict}`,
      )
    })
  }
}

/** The last of the ledger whose manifest is there; times and the store's listing decide nothing. */
function newestSnapshot(repository) {
  const logged = repository.ledger.findLast((entry) => repository.folder.has(`manifests/${entry.snapshot}`))
  if (logged) return logged.snapshot
  const name = repository.folder.names('manifests/').at(-1)
  if (name === undefined) throw new Closed('there is no snapshot in the repository')
  repository.report('the ledger names no snapshot that is there: the newest was chosen by its name')
  return name.slice('manifests/'.length)
}

function extract(repository, options, problems) {
  const id = options.snapshot ?? newestSnapshot(repository)
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(id)) throw new Usage('a snapshot is named as --list names it')
  if (!repository.folder.has(`manifests/${id}`))
    throw new Closed(`there is no snapshot ${id}; --list shows which there are`)
  const out = options.out
  if (fs.existsSync(out) && fs.readdirSync(out).length > 0) throw new Usage(`${out} is not empty`)
  const { manifest, problems: doubts, isUnsigned } = repository.readManifest(id)
  for (const doubt of doubts) repository.report(doubt)
  if (isUnsigned && !options['even-unsigned'])
    throw new Closed(`snapshot ${id} is not to be relied on: nothing was written (--even-unsigned writes it)`)

  fs.mkdirSync(out, { recursive: true, mode: 0o700 })
  repository.attempt(() => repository.verifyPacks(manifest))
  const files = fileNames(manifest.tables)
  const written = []
  for (const [index, table] of manifest.tables.entries()) {
    repository.attempt(() => {
      const { rows, lostRows, file } = writeTable(repository, table, out, files[index])
      written.push({ table, rows, lostRows, file })
      if (lostRows > 0)
        repository.report(`table ${table.name}: ${lostRows} of ${table.rows.rows} rows are missing from ${file}`)
    })
    repository.attempt(() => proveLocator(repository, table))
    repository.attempt(() => proveChanges(repository, table))
  }
  repository.attempt(() => proveTransactions(repository, manifest))
  writeScripts(manifest, written, out)
  writeReadme(manifest, written, problems, out)
  const rows = written.reduce((sum, table) => sum + table.rows, 0)
  say(`${id}: ${written.length} of ${manifest.tables.length} tables, ${rows} rows, in ${out}`)
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

function main() {
  const options = parseArguments(process.argv.slice(2))
  if (options.help) return say(USAGE)
  const wanted = [options.list, options.log, options.log ? undefined : options.out]
  if (options.repo === undefined || wanted.filter((option) => option !== undefined).length !== 1)
    throw new Usage('give --repo, and --out, --list or --log')
  const problems = []
  const report = (problem) => {
    problems.push(problem)
    process.exitCode = 1
    process.stderr.write(`problem: ${problem}\n`)
  }
  const folder = new Folder(options.repo)
  const repository = new Repository(folder, unlock(folder, readSecret(options), report), report)
  repository.attempt(() => repository.verifyConfig())
  repository.readSigners()
  repository.readLedger()
  repository.attempt(() => repository.verifyAudit())
  if (options.list) list(repository)
  else if (options.log) logs(repository, options.out)
  else extract(repository, options, problems)
}

/** What nobody foresaw is said by its class and place: a message of the system may quote what it was given. */
function fail(error) {
  if (error instanceof Usage) process.stderr.write(`${error.message}\n${USAGE}\n`)
  else if (error instanceof Closed || error instanceof Damage) process.stderr.write(`${error.message}\n`)
  else {
    const frame =
      String(error?.stack)
        .split('\n')
        .find((line) => line.trimStart().startsWith('at ')) ?? ''
    process.stderr.write(`unexpected ${error?.name} ${error?.code ?? ''} ${frame.trim()}\n`)
  }
  process.exitCode = error instanceof Usage ? 2 : error instanceof Closed ? 3 : error instanceof Damage ? 1 : 70
}

try {
  main()
} catch (error) {
  fail(error)
}
