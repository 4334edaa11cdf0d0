/**
 * Every member of every object, changed and sealed again with the repository's own key: what whoever holds the data
 * key, or an error of ours, could write. Signature, digest, chain or HMAC must say so where the seal cannot.
 */
import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { canonicalBytes, type JsonValue, parseCanonical } from '../../src/repository/canonical-json.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { OBJECT_TYPES, sealObject } from '../../src/repository/sealed-object.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { complaint, loadPatterns, type Patterns } from '../support/mutations.ts'
import { seededRandom } from './tree/support.ts'

const SEED = Number(process.env.CHARTKEEP_SEED ?? Date.now() % 2 ** 31)
/** Each costs a scrub; another seed takes others. */
const CHANGES_MAX = 14

let patterns: Patterns
let repository: Repository
beforeAll(async () => {
  patterns = await loadPatterns()
  const store = new MemoryStore()
  for (const [name, bytes] of patterns.golden) store.objects.set(name, bytes)
  repository = await openRepository(store, { url: store.url }, patterns.secrets.keyFile)
})

/** `value` with one scalar in it changed, an item taken out or a member put in: one after the other. */
function* changes(value: JsonValue): Generator<JsonValue> {
  if (Array.isArray(value)) {
    if (value.length > 0) yield value.slice(1)
    for (const [index, item] of value.entries()) {
      for (const changed of changes(item)) yield value.with(index, changed)
    }
  } else if (value !== null && typeof value === 'object') {
    yield { ...value, later: true }
    for (const [name, member] of Object.entries(value)) {
      for (const changed of changes(member as JsonValue)) yield { ...value, [name]: changed }
    }
  } else if (typeof value === 'string') yield `${value.slice(0, -1)}${value.endsWith('a') ? 'b' : 'a'}`
  else if (typeof value === 'number') yield value + 1
  else yield value === null ? 'a' : value === false
}

function sample<Item>(items: readonly Item[], count: number): Item[] {
  const random = seededRandom(SEED)
  return items.length <= count
    ? [...items]
    : Array.from({ length: count }, () => items[Math.floor(random() * items.length)]!)
}

function resealed(name: string, type: number, plain: Uint8Array): Uint8Array {
  return sealObject(plain, { type, name, key: repository.keyring.currentDataKey, salt: randomBytes(16) })
}

/** Object names with a complaint missing, of `prefix`, for every change of every member. */
async function unnoticed(prefix: string, type: number | null, exceptLast = false): Promise<string[]> {
  const found: string[] = []
  const names = [...patterns.golden.keys()].filter((name) => name.startsWith(prefix))
  for (const name of exceptLast ? names.slice(0, -1) : names) {
    const stored = patterns.golden.get(name)!
    const plain = type === null ? stored : await repository.sealed.read(name, type)
    const all = [...changes(parseCanonical(plain, name))]
    expect(all.length, name).toBeGreaterThan(3)
    for (const changed of sample(all, CHANGES_MAX)) {
      const bytes = canonicalBytes(changed)
      const object = type === null ? bytes : resealed(name, type, bytes)
      if ((await complaint(patterns, new Map([...patterns.golden, [name, object]]))) === null) found.push(name)
    }
  }
  return found
}

describe(`an object with one member changed, by whoever can seal, is complained of (CHARTKEEP_SEED=${SEED}):`, () => {
  test.each([
    ['manifests', 'manifests/', OBJECT_TYPES.manifest, false],
    ['indexes', 'indexes/', OBJECT_TYPES.index, false],
    ['ledger entries', 'ledger/entries/', OBJECT_TYPES.ledgerEntry, false],
    ['ledger heads', 'ledger/heads/', OBJECT_TYPES.ledgerHead, false],
    ['audit records but the last', 'audit/', OBJECT_TYPES.audit, true],
    ['the config', 'config', null, false],
    ['wrappers', 'keys/', null, false],
  ] as const)('%s', async (_, prefix, type, exceptLast) => {
    expect(await unnoticed(prefix, type, exceptLast)).toEqual([])
  })

  test('data keys', async () => {
    const name = 'data-keys/00000001'
    const key = repository.keyring.masterSealKey
    const sealed = sealObject(randomBytes(32), { type: OBJECT_TYPES.dataKey, name, key, salt: randomBytes(16) })

    expect(await complaint(patterns, new Map([...patterns.golden, [name, sealed]]))).not.toBeNull()
  })

  test('the public key of the agent', async () => {
    const signers = await repository.signers()
    const { revocation: _, ...agent } = signers.find(({ role }) => role === 'agent')!
    const other = { ...agent, publicKey: randomBytes(32).toString('base64') }
    const name = `signers/${agent.signerId}`
    const object = resealed(name, OBJECT_TYPES.signer, canonicalBytes(other))

    expect(await complaint(patterns, new Map([...patterns.golden, [name, object]]))).not.toBeNull()
  })
})
