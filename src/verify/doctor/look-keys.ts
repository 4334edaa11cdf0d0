/** Ways to open the repository, and keys to sign with. */
import { parseKeyWrapper } from '../../repository/crypto/key-wrapper.ts'
import { isDamage } from '../../repository/damage.ts'
import { WRAPPER_PREFIX } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import type { KeyTopic, Seen } from './check.ts'

type Found = Seen<KeyTopic>[]

export async function lookAtWrappers(repository: Repository): Promise<Found> {
  const found: Found = []
  const kinds: string[] = []
  for (const name of await repository.sealed.names(WRAPPER_PREFIX)) {
    try {
      kinds.push(parseKeyWrapper(name, await repository.store.get(name)).kind)
    } catch (error) {
      if (!isDamage(error)) throw error
      found.push({ topic: 'wrapper-damaged', objects: [name], found: error.message })
    }
  }
  const shown = kinds.length === 0 ? '0' : kinds.sort().join(', ')
  if (kinds.length < 2) found.push({ topic: 'wrapper-single', objects: [], found: shown })
  if (!kinds.includes('recovery-sheet')) found.push({ topic: 'recovery-sheet-missing', objects: [], found: shown })
  return found
}

export async function lookAtSigners(
  repository: Repository,
  { wantsApprovers }: { readonly wantsApprovers: boolean },
): Promise<Found> {
  const active = (await repository.signers()).filter(({ revocation }) => revocation === null)
  const count = (role: string) => active.filter((signer) => signer.role === role).length
  const found: Found = []
  if (count('agent') === 0) found.push({ topic: 'signer-agent-missing', objects: [], found: 'agent: 0' })
  if (wantsApprovers && count('approver') === 0) {
    found.push({ topic: 'signer-approver-missing', objects: [], found: 'approver: 0' })
  }
  return found
}
