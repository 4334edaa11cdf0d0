/** The same repository over another handle of its store: a faulty one, another process's. */
import { Repository } from '../../src/repository/repository.ts'
import type { Store } from '../../src/repository/store/contract.ts'

export function overStore(repository: Repository, store: Store): Repository {
  const { id, storeSettings, keyring } = repository
  return new Repository({ id, store, storeSettings, keyring })
}
