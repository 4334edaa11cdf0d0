/**
 * How a repository comes to be, and how it is unlocked.
 *
 * `config` is readable without a key: id, format and algorithms, with an HMAC under the master key, so that a changed
 * config is noticed as soon as the repository is unlocked. Written last by `init`: a repository without it is none, so
 * an interrupted `init` can simply be run again.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import {
  type KeyWrapper,
  parseKeyWrapper,
  type UnlockSecret,
  unwrapMasterKey,
  wrapMasterKey,
} from './crypto/key-wrapper.ts'
import { deriveKey, KEY_BYTES } from './crypto/provider.ts'
import { RECOVERY_SECRET_BYTES } from './crypto/recovery-sheet.ts'
import { Keyring } from './keyring.ts'
import {
  CONFIG_KEY,
  DATA_KEY_PREFIX,
  dataKeyKey,
  INDEX_PREFIX,
  MANIFEST_PREFIX,
  PACK_PREFIX,
  SIGNER_PREFIX,
  timedId,
  WRAPPER_PREFIX,
  wrapperKey,
} from './layout.ts'
import { FORMAT_VERSION } from './manifest.ts'
import { Repository } from './repository.ts'
import { OBJECT_TYPES, openObject, type SealKey, sealObject } from './sealed-object.ts'
import { createSigner } from './signers.ts'
import type { Store, StoreSettings } from './store/contract.ts'

export interface InitWorld {
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
}

/** Members that a later version adds are kept, so that the HMAC covers them. */
const configSchema = z.looseObject({
  format: z.int().positive(),
  repositoryId: z.string(),
  createdAt: z.string(),
  cipher: z.string(),
  hash: z.string(),
})
const CONFIG_BYTES_MAX = 64 * 1024

const CIPHER = 'AES-256-GCM'
const HASH = 'SHA-256'

type RepositoryConfig = z.infer<typeof configSchema>

export interface InitResult {
  readonly repository: Repository
  /** To be printed and locked away; stored nowhere. */
  readonly recoverySecret: Uint8Array
  readonly createdAt: string
}

/** @throws repository-exists, store-… */
export async function initRepository(
  store: Store,
  storeSettings: StoreSettings,
  secrets: readonly UnlockSecret[],
  world: InitWorld,
): Promise<InitResult> {
  if (await store.stat(CONFIG_KEY)) {
    throw new Failure('repository-exists', `there is a repository at ${store.url} already`, {
      hints: ['Use another address, or run `chartkeep backup` with this one.'],
    })
  }
  const createdAt = new Date(world.nowMs()).toISOString()
  const repositoryId = Buffer.from(world.random(16)).toString('hex')
  const master = world.random(KEY_BYTES)
  const recoverySecret = world.random(RECOVERY_SECRET_BYTES)

  await removeLeftovers(store)
  const everySecret: UnlockSecret[] = [...secrets, { kind: 'recovery-sheet', secret: recoverySecret }]
  for (const secret of everySecret) {
    const id = timedId(world.nowMs(), world.random(4))
    const wrapper = await wrapMasterKey(master, secret, { id, repositoryId, createdAt, random: world.random })
    await store.put(wrapperKey(id), canonicalBytes(wrapper))
  }
  const dataKey: SealKey = { number: 1, key: world.random(KEY_BYTES) }
  await store.put(dataKeyKey(1), sealDataKey(dataKey, master, world.random(16)))
  const config: RepositoryConfig = {
    format: FORMAT_VERSION,
    repositoryId,
    createdAt,
    cipher: CIPHER,
    hash: HASH,
  }
  const keyring = new Keyring(repositoryId, master, [dataKey])
  const repository = new Repository({ id: repositoryId, store, storeSettings, keyring })
  const signerId = timedId(world.nowMs(), world.random(4))
  await createSigner(repository.sealed, { signerId, name: 'agent', role: 'agent', createdAt })
  await store.put(CONFIG_KEY, canonicalBytes({ config, mac: configMac(config, master) }))
  return { repository, recoverySecret, createdAt }
}

/** @throws repository-not-found, repository-format, repository-damaged, wrong-key */
export async function openRepository(
  store: Store,
  storeSettings: StoreSettings,
  secret: UnlockSecret,
): Promise<Repository> {
  const { config, mac } = await readConfig(store)
  const master = await unlock(store, config.repositoryId, secret)
  assertUnchanged(config, mac, master)
  const keyring = new Keyring(config.repositoryId, master, await readDataKeys(store, master))
  return new Repository({ id: config.repositoryId, store, storeSettings, keyring })
}

/** Whether the config of an open repository still is its own. @throws object-missing, repository-damaged, store-… */
export async function verifyConfig({ id, store, keyring }: Repository): Promise<void> {
  await store.get(CONFIG_KEY)
  const { config, mac } = await readConfig(store)
  assertUnchanged(config, mac, keyring.masterSealKey.key)
  if (config.repositoryId === id) return
  throw new Failure('repository-damaged', `object ${CONFIG_KEY} is of repository ${config.repositoryId}, not ${id}`)
}

/** Whether a data key of an open repository can still be had from its store. @throws as `verifyConfig` */
export async function verifyDataKey({ store, keyring }: Repository, number: number): Promise<void> {
  const name = dataKeyKey(number)
  const expected = { type: OBJECT_TYPES.dataKey, name }
  const { key } = keyring.masterSealKey
  const stored = openObject(await store.get(name), expected, (master) => (master === 0 ? key : null))
  if (Buffer.compare(stored, keyring.dataKey(number) ?? new Uint8Array()) === 0) return
  throw new Failure('repository-damaged', `object ${name} holds another key`, { context: { object: name } })
}

function assertUnchanged(config: RepositoryConfig, mac: string, master: Uint8Array): void {
  const found = Buffer.from(mac)
  const expected = Buffer.from(configMac(config, master))
  if (found.length === expected.length && timingSafeEqual(found, expected)) return
  throw new Failure('repository-damaged', `object ${CONFIG_KEY} was changed since the repository was made`, {
    context: { object: CONFIG_KEY },
  })
}

async function readConfig(store: Store): Promise<{ config: RepositoryConfig; mac: string }> {
  const bytes = await store.get(CONFIG_KEY).catch((error) => {
    if (error instanceof Failure && error.code === 'object-missing') {
      throw new Failure('repository-not-found', `there is no repository at ${store.url}`, {
        hints: ['Check the address, or run `chartkeep init` to make one there.'],
      })
    }
    throw error
  })
  const value = parseCanonical(bytes, `object ${CONFIG_KEY}`, { bytesMax: CONFIG_BYTES_MAX })
  const parsed = z.strictObject({ config: configSchema, mac: z.string().length(64) }).safeParse(value)
  if (!parsed.success) {
    throw new Failure('repository-damaged', `object ${CONFIG_KEY} is not a repository's configuration`, {
      context: { object: CONFIG_KEY },
    })
  }
  const { format, cipher, hash } = parsed.data.config
  if (format > FORMAT_VERSION || cipher !== CIPHER || hash !== HASH) {
    throw new Failure(
      'repository-format',
      `the repository at ${store.url} has format ${format} with ${cipher} and ${hash}, ` +
        `this version reads ${FORMAT_VERSION} with ${CIPHER} and ${HASH}`,
      { hints: ['Use the version of chartkeep that wrote this repository, or a later one.'] },
    )
  }
  return parsed.data
}

async function unlock(store: Store, repositoryId: string, secret: UnlockSecret): Promise<Uint8Array> {
  const kinds = new Set<KeyWrapper['kind']>()
  let damaged: Failure | null = null
  for await (const object of store.list(WRAPPER_PREFIX)) {
    try {
      const wrapper = parseKeyWrapper(object.key, await store.get(object.key))
      kinds.add(wrapper.kind)
      const master = await unwrapMasterKey(wrapper, secret, repositoryId)
      if (master) return master
    } catch (error) {
      // Another wrapper may be whole, and its secret the one that was given.
      if (!(error instanceof Failure && error.code === 'repository-damaged')) throw error
      damaged = error
    }
  }
  if (damaged) throw damaged
  throw new Failure('wrong-key', `the ${secret.kind} does not open the repository at ${store.url}`, {
    context: { wrappers: [...kinds].sort().join(', ') },
    hints: [
      'Set CHARTKEEP_PASSPHRASE, CHARTKEEP_PASSPHRASE_FILE or CHARTKEEP_KEY_FILE to the secret given at `chartkeep init`.',
      'If it is lost, the recovery sheet opens the repository: set CHARTKEEP_RECOVERY_SHEET to its file.',
    ],
  })
}

async function readDataKeys(store: Store, master: Uint8Array): Promise<SealKey[]> {
  const keys: SealKey[] = []
  for await (const object of store.list(DATA_KEY_PREFIX)) {
    const expected = { type: OBJECT_TYPES.dataKey, name: object.key }
    const key = openObject(await store.get(object.key), expected, (number) => (number === 0 ? master : null))
    keys.push({ number: Number(object.key.slice(DATA_KEY_PREFIX.length)), key: Uint8Array.from(key) })
  }
  if (keys.length === 0) throw new Failure('repository-damaged', `no data key is left at ${store.url}`)
  return keys.sort((a, b) => a.number - b.number)
}

function sealDataKey(dataKey: SealKey, master: Uint8Array, salt: Uint8Array): Uint8Array {
  const name = dataKeyKey(dataKey.number)
  return sealObject(dataKey.key, { type: OBJECT_TYPES.dataKey, name, key: { number: 0, key: master }, salt })
}

function configMac(config: RepositoryConfig, master: Uint8Array): string {
  const key = deriveKey(master, Buffer.from(config.repositoryId), 'chartkeep config v1')
  return createHmac('sha256', key).update(canonicalBytes(config)).digest('hex')
}

/** Keys of an `init` that did not get as far as its config. Where there is anything else, they may be all that is left. */
async function removeLeftovers(store: Store): Promise<void> {
  for (const prefix of [PACK_PREFIX, INDEX_PREFIX, MANIFEST_PREFIX]) {
    for await (const object of store.list(prefix)) {
      throw new Failure('repository-damaged', `there is no ${CONFIG_KEY} at ${store.url}, but there is ${object.key}`, {
        context: { object: CONFIG_KEY },
        hints: ['This was a repository. Bring its config back from a copy; `chartkeep init` will not write over it.'],
      })
    }
  }
  for (const prefix of [WRAPPER_PREFIX, DATA_KEY_PREFIX, SIGNER_PREFIX]) {
    const keys: string[] = []
    for await (const object of store.list(prefix)) keys.push(object.key)
    for (const key of keys) await store.delete(key)
  }
}
