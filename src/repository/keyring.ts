/**
 * The keys of an open repository.
 *
 *     passphrase, key file, recovery sheet ─→ wrappers ─→ master key ─┬─→ data keys (sealed objects; encrypt rows)
 *                                                                     ├─→ salt, separator, pseudonym keys
 *                                                                     ├─→ ledger's signing key
 *                                                                     └─→ cut seed
 *
 * Data keys can be rotated: objects name theirs. What hangs on the master key by derivation never changes in the life
 * of a repository, because roots depend on it: salts (so that a published digest cannot be searched for a patient's
 * values), the seed of the leaf boundaries (so that nobody can choose keys that degrade a tree), and pseudonyms.
 */
import { createHmac, type KeyObject } from 'node:crypto'
import { deriveKey } from './crypto/provider.ts'
import { signingKeyFromSeed } from './crypto/signing.ts'
import type { SealKey } from './sealed-object.ts'

/** Serialisable: workers get it by structured clone. Never log it. */
export interface RepositorySecrets {
  readonly dataKeys: readonly SealKey[]
  readonly saltKey: Uint8Array
  readonly separatorKey: Uint8Array
  readonly cutSeed: bigint
}

export class Keyring {
  readonly repositoryId: string
  readonly #master: Uint8Array
  readonly #dataKeys: readonly SealKey[]
  readonly #pseudonymKey: Uint8Array
  /** Asked for with every tree that is read: derived once. */
  #secrets: RepositorySecrets | null = null

  constructor(repositoryId: string, master: Uint8Array, dataKeys: readonly SealKey[]) {
    this.repositoryId = repositoryId
    this.#master = master
    this.#dataKeys = dataKeys
    this.#pseudonymKey = this.#derive('pseudonym')
  }

  /** The key for new data: the newest. */
  get currentDataKey(): SealKey {
    const newest = this.#dataKeys.at(-1)
    if (!newest) throw new Error('a keyring without data keys was opened')
    return newest
  }

  get masterSealKey(): SealKey {
    return { number: 0, key: this.#master }
  }

  /** Ed25519. Derived, so that whoever can open the repository can continue its ledger. */
  get ledgerKey(): KeyObject {
    return signingKeyFromSeed(this.#derive('ledger'))
  }

  readonly dataKey = (number: number): Uint8Array | null =>
    this.#dataKeys.find((candidate) => candidate.number === number)?.key ?? null

  get secrets(): RepositorySecrets {
    this.#secrets ??= {
      dataKeys: this.#dataKeys,
      saltKey: this.#derive('salt'),
      separatorKey: this.#derive('separator'),
      cutSeed: Buffer.from(this.#derive('leaf boundary')).readBigUInt64LE(0),
    }
    return this.#secrets
  }

  /**
   * The only name of a patient in findings, logs and metrics: the first 80 bits of an HMAC of the patient's key,
   * as `P-` and 16 base32 letters.
   */
  pseudonym(patientKey: Uint8Array): string {
    const digest = createHmac('sha256', this.#pseudonymKey).update(patientKey).digest()
    let bits = ''
    for (const byte of digest.subarray(0, 10)) bits += byte.toString(2).padStart(8, '0')
    const letters = (bits.match(/.{5}/g) ?? []).map(
      (group) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(group, 2)],
    )
    return `P-${letters.join('')}`
  }

  #derive(purpose: string): Uint8Array {
    return deriveKey(this.#master, Buffer.from(this.repositoryId), `chartkeep ${purpose} v1`)
  }
}
