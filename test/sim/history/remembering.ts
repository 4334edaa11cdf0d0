/**
 * The repository as the judge reads it, when nobody writes any more: what was read and proved once is not read again by
 * each of his forty questions. Objects never change (I1); leases do come and go, and are asked for each time.
 */
import { LEASE_PREFIX } from '../../../src/repository/layout.ts'
import { type ReadManifest, Repository } from '../../../src/repository/repository.ts'
import type { Store } from '../../../src/repository/store/contract.ts'

export class RememberingRepository extends Repository {
  readonly #manifests = new Map<string, Promise<ReadManifest>>()

  static over({ id, store, storeSettings, keyring }: Repository): RememberingRepository {
    return new RememberingRepository({ id, store: remembering(store), storeSettings, keyring })
  }

  override readManifest(snapshotId: string): Promise<ReadManifest> {
    return remembered(this.#manifests, snapshotId, () => super.readManifest(snapshotId))
  }
}

function remembering(store: Store): Store {
  const known = new Map<string, Promise<Uint8Array>>()
  const answer = async (key: string, question: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> => {
    if (key.startsWith(LEASE_PREFIX)) return await read()
    return Uint8Array.from(await remembered(known, question, read))
  }
  return {
    url: store.url,
    capabilities: store.capabilities,
    put: (key, bytes) => store.put(key, bytes),
    get: (key) => answer(key, key, () => store.get(key)),
    getRange: (key, start, end) => answer(key, `${key} ${start} ${end}`, () => store.getRange(key, start, end)),
    stat: (key) => store.stat(key),
    list: (prefix) => store.list(prefix),
    delete: (key) => store.delete(key),
    close: () => store.close(),
  }
}

/** What failed is asked for again. */
function remembered<T>(known: Map<string, Promise<T>>, question: string, ask: () => Promise<T>): Promise<T> {
  let answer = known.get(question)
  if (!answer) {
    answer = ask()
    known.set(question, answer)
    answer.catch(() => known.delete(question))
  }
  return answer
}
