/**
 * The wrappers and data keys of an open repository: added, listed, revoked and rotated without touching a row.
 *
 * Revoking a wrapper removes the object: its passphrase opens nothing any more *here*. Whoever kept a copy of that
 * object and knows the passphrase still has the master key; against that only a new repository helps.
 */
import { Failure } from '../errors.ts'
import { canonicalBytes } from './canonical-json.ts'
import { type KeyWrapper, parseKeyWrapper, type UnlockSecret, wrapMasterKey } from './crypto/key-wrapper.ts'
import { KEY_BYTES } from './crypto/provider.ts'
import { DATA_KEY_PREFIX, dataKeyKey, timedId, WRAPPER_PREFIX, wrapperKey } from './layout.ts'
import type { Repository } from './repository.ts'
import type { InitWorld } from './repository-lifecycle.ts'
import { OBJECT_TYPES, sealObject } from './sealed-object.ts'

export async function listWrappers(repository: Repository): Promise<KeyWrapper[]> {
  const wrappers: KeyWrapper[] = []
  for (const name of await repository.sealed.names(WRAPPER_PREFIX)) {
    wrappers.push(parseKeyWrapper(name, await repository.store.get(name)))
  }
  return wrappers
}

export async function addWrapper(repository: Repository, secret: UnlockSecret, world: InitWorld): Promise<KeyWrapper> {
  const id = timedId(world.nowMs(), world.random(4))
  const createdAt = new Date(world.nowMs()).toISOString()
  const master = repository.keyring.masterSealKey.key
  const wrapper = await wrapMasterKey(master, secret, {
    id,
    repositoryId: repository.id,
    createdAt,
    random: world.random,
  })
  await repository.store.put(wrapperKey(id), canonicalBytes(wrapper))
  return wrapper
}

/** @throws bad-usage for an unknown wrapper, and for the last one: nothing would open the repository any more */
export async function revokeWrapper(repository: Repository, id: string): Promise<KeyWrapper> {
  const wrappers = await listWrappers(repository)
  const wrapper = wrappers.find((candidate) => candidate.id === id)
  if (!wrapper) {
    throw new Failure('bad-usage', `there is no wrapper ${id}`, { hints: ['Run `chartkeep wrapper list`.'] })
  }
  if (wrappers.length === 1) {
    throw new Failure('bad-usage', `wrapper ${id} is the last: without it nothing opens the repository`, {
      hints: ['Add another one first: `chartkeep wrapper add`.'],
    })
  }
  await repository.store.delete(wrapperKey(id))
  return wrapper
}

/** A new key for new data; what is there stays under its own. @returns the new key's number */
export async function rotateDataKey(repository: Repository, world: InitWorld): Promise<number> {
  const names = await repository.sealed.names(DATA_KEY_PREFIX)
  const number = Number((names.at(-1) ?? '').slice(DATA_KEY_PREFIX.length)) + 1
  const name = dataKeyKey(number)
  const salt = world.random(16)
  const key = repository.keyring.masterSealKey
  await repository.store.put(name, sealObject(world.random(KEY_BYTES), { type: OBJECT_TYPES.dataKey, name, key, salt }))
  return number
}
