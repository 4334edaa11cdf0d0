/**
 * Damage to the objects of a repository, of every kind that a disk, a store or a person with write access can do, and
 * a look at the result through everything that has to notice.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../../src/errors.ts'
import { ChangeLogWriter } from '../../src/repository/change-log/writer.ts'
import type { UnlockSecret } from '../../src/repository/crypto/key-wrapper.ts'
import { TAG_BYTES } from '../../src/repository/crypto/provider.ts'
import { acquireLease } from '../../src/repository/lease.ts'
import { CHUNK_TYPES } from '../../src/repository/pack/chunk.ts'
import { PackWriter } from '../../src/repository/pack/pack-writer.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository, openRepository } from '../../src/repository/repository-lifecycle.ts'
import { scrubRepository } from '../../src/verify/scrub.ts'
import { scrubPack } from '../../src/verify/scrub-pack.ts'
import { logStart, segmentDraft, transactionAt } from './change-log.ts'
import { GOLDEN, type GoldenSecrets, goldenSecrets, readFiles } from './golden.ts'
import { MemoryStore } from './memory-store.ts'

export const MUTATION_KINDS = ['flip', 'tag', 'truncate', 'extend', 'zero', 'swap', 'older', 'foreign'] as const
export type MutationKind = (typeof MUTATION_KINDS)[number]

export type Objects = ReadonlyMap<string, Uint8Array>

export interface Patterns {
  readonly golden: Objects
  /** Objects of another repository that the same key file opens, of every kind. */
  readonly foreign: Objects
  readonly secrets: GoldenSecrets
}

export async function loadPatterns(): Promise<Patterns> {
  const secrets = await goldenSecrets()
  const golden = await readFiles(join(GOLDEN, 'repository'))
  return { golden, foreign: await makeForeign(golden, secrets), secrets }
}

/**
 * A repository of change logs and leases only, and another one with the same names: two logs of which the second takes
 * the place of the first, one with a transaction in parts, and a lease that was renewed.
 */
export async function loadLogPatterns(): Promise<Patterns> {
  const secrets = await goldenSecrets()
  const made = await Promise.all([makeLogs(secrets), makeLogs(secrets)])
  return { golden: made[0], foreign: made[1], secrets }
}

async function makeLogs({ keyFile }: GoldenSecrets): Promise<Objects> {
  const store = new MemoryStore()
  const nowMs = () => Date.UTC(2026, 0, 1)
  const { repository } = await initRepository(store, { url: store.url }, [keyFile], { nowMs, random: randomBytes })
  const world = { nowMs, random: (bytes: number) => Buffer.alloc(bytes, 7) }
  const first = await ChangeLogWriter.begin(repository, logStart(), world)
  await first.append(segmentDraft(1010n, { transactions: [transactionAt(1000n, 3)] }))
  const { logId } = first.start
  const previousLog = { logId, reason: 'the slot was lost', end: 1010n }
  const second = await ChangeLogWriter.begin(repository, logStart({ previousLog }), world)
  const part = (rows: number) => [transactionAt(1000n, rows)]
  await second.append(segmentDraft(1000n, { transactions: part(4), unfinished: true }))
  await second.append(segmentDraft(1010n, { transactions: part(2), continues: true }))
  await second.append(segmentDraft(1020n))
  const lease = await acquireLease(repository, { name: 'capture-1', holder: 'a', leaseMs: 30_000, nowMs })
  await lease.renew()
  return new Map(store.objects)
}

/** The objects with one of them changed; null when this kind of damage cannot be done to it, or changes nothing. */
export function mutate(patterns: Patterns, name: string, kind: MutationKind, random: () => number): Objects | null {
  const { golden, foreign } = patterns
  const whole = golden.get(name)!
  const bytes = Buffer.from(whole)
  const folder = name.slice(0, name.lastIndexOf('/') + 1)
  const top = name.slice(0, name.indexOf('/') + 1)
  const siblings = [...golden.keys()].filter((other) => other !== name && other.startsWith(top) && top !== '')
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)]
  const replaced = (other: Uint8Array | undefined): Objects | null =>
    other && Buffer.compare(other, whole) !== 0 ? new Map([...golden, [name, other]]) : null

  if (kind === 'flip' || kind === 'tag') {
    // Whatever else would notice a change of what is said, only a cipher notices one of its tag, the last bytes.
    const start = kind === 'tag' ? Math.max(0, bytes.length - TAG_BYTES) : 0
    bytes[start + Math.floor(random() * (bytes.length - start))]! ^= 1 << Math.floor(random() * 8)
    return replaced(bytes)
  }
  if (kind === 'truncate') return replaced(bytes.subarray(0, Math.floor(random() * bytes.length)))
  if (kind === 'extend') return replaced(Buffer.concat([bytes, Buffer.alloc(1 + Math.floor(random() * 64), 0x20)]))
  if (kind === 'zero') {
    const start = Math.floor(random() * bytes.length)
    return replaced(Buffer.from(bytes).fill(0, start, Math.min(bytes.length, start + 1 + Math.floor(random() * 64))))
  }
  if (kind === 'foreign') {
    return replaced(foreign.get(pick([...foreign.keys()].filter((other) => other.startsWith(folder || name))) ?? ''))
  }
  const other = pick(siblings)
  if (other === undefined) return null
  if (kind === 'older') return replaced(golden.get(other))
  return new Map([...golden, [name, golden.get(other)!], [other, golden.get(name)!]])
}

/**
 * What check, scrub and the keys say of these objects: in words, or null when they find nothing wrong.
 * @throws whatever is no Failure: nothing in a repository may cause that
 */
export async function complaint(patterns: Patterns, objects: Objects): Promise<string | null> {
  const { keyFile, passphrase, recoverySheet } = patterns.secrets
  try {
    const store = new MemoryStore()
    for (const [name, bytes] of objects) store.objects.set(name, bytes)
    const repository = await openRepository(store, { url: store.url }, keyFile)
    const said = await scrubbed(repository)
    if (said !== null) return said
    // Only its own secret can prove a wrapper, and a passphrase takes its time.
    for (const secret of [recoverySheet, passphrase]) {
      if (changed(patterns, objects).some((name) => name.startsWith('keys/'))) await opens(store, secret)
    }
    return null
  } catch (error) {
    if (error instanceof Failure && error.code !== 'defect') return `${error.code}: ${error.message}`
    throw error
  }
}

function changed({ golden }: Patterns, objects: Objects): string[] {
  return [...objects].filter(([name, bytes]) => golden.get(name) !== bytes).map(([name]) => name)
}

async function opens(store: MemoryStore, secret: UnlockSecret): Promise<void> {
  await openRepository(store, { url: store.url }, secret)
}

async function scrubbed(repository: Repository): Promise<string | null> {
  const { findings } = await scrubRepository({
    repository,
    signal: new AbortController().signal,
    nowMs: () => Date.UTC(2026, 5, 1),
    random: randomBytes,
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
  })
  return findings.length === 0 ? null : findings.map(({ kind, message }) => `${kind}: ${message}`).join('; ')
}

/** Another repository with an object of each kind under names that the golden one has too. */
async function makeForeign(golden: Objects, { keyFile }: GoldenSecrets): Promise<Objects> {
  const goldenStore = new MemoryStore()
  for (const [name, bytes] of golden) goldenStore.objects.set(name, bytes)
  const original = await openRepository(goldenStore, { url: goldenStore.url }, keyFile)
  const store = new MemoryStore()
  const world = { nowMs: () => Date.UTC(2026, 0, 2), random: randomBytes }
  const { repository } = await initRepository(store, { url: store.url }, [keyFile], world)
  for (const snapshotId of await original.snapshotIds()) {
    const { manifest } = await original.readManifest(snapshotId)
    await repository.writeIndex(await original.readIndex(manifest))
    const sha256 = await repository.writeManifest({ ...manifest, repositoryId: repository.id })
    await repository.ledger.append({ snapshot: snapshotId, manifest: sha256, time: '2026-01-02T00:00:00Z' })
    const { time, actor, action, subject, outcome, detail } = (await original.audit.read())[0]!
    await repository.audit.append({ time, actor, action, subject, outcome, detail })
  }
  const dataKey = repository.keyring.currentDataKey
  const packs = new PackWriter({ store, dataKey, random: randomBytes })
  await packs.add(CHUNK_TYPES.leaf, randomBytes(32), await readFile(join(GOLDEN, 'key-file')))
  await packs.flush()
  return new Map(store.objects)
}
