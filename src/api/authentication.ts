/**
 * Who asks: `Authorization: Bearer ck_…`, of a token that the repository knows, that has not ended and was not revoked.
 *
 * Every refusal reads the same, whatever was wrong. A token or an address with too many wrong secrets is not heard for
 * a while, and that is in the audit; this is counted in memory, and a service that starts anew begins from nothing.
 */
import { Failure } from '../errors.ts'
import {
  type AccessToken,
  findToken,
  isSecretOf,
  isTokenRevoked,
  partsOfToken,
  type TokenRole,
} from '../repository/access/tokens.ts'
import type { Repository } from '../repository/repository.ts'
import { BoundedMap, LockOut, RequestRate } from './counters.ts'
import type { ApiLimits } from './dependencies.ts'

export interface Caller {
  readonly tokenId: string
  readonly person: string
  readonly role: TokenRole
  readonly expiresAt: string
  /** For the audit. */
  readonly actor: string
}

export interface Asking {
  /** The `Authorization` header. */
  readonly authorization: string | undefined
  readonly address: string
}

/** A refusal that says when to come again. */
export class Later extends Failure {
  readonly seconds: number

  constructor(message: string, seconds: number) {
    super('too-many-requests', message, { hints: [`Come again in ${seconds} s.`] })
    this.seconds = seconds
  }
}

interface Checked {
  readonly token: AccessToken
  readonly checkedMs: number
}

const KNOWN_TOKENS_MAX = 1_000

export class Authentication {
  readonly #repository: Repository
  readonly #nowMs: () => number
  readonly #limits: ApiLimits
  readonly #known = new BoundedMap<Checked>(KNOWN_TOKENS_MAX)
  readonly #tokens: LockOut
  readonly #addresses: LockOut
  readonly #rate: RequestRate

  constructor(repository: Repository, nowMs: () => number, limits: ApiLimits) {
    this.#repository = repository
    this.#nowMs = nowMs
    this.#limits = limits
    this.#tokens = new LockOut(limits.failuresOfToken, limits.lockedMs)
    this.#addresses = new LockOut(limits.failuresOfAddress, limits.lockedMs)
    this.#rate = new RequestRate(limits.requestsPerSecond, limits.burst)
  }

  /** @throws token-refused, too-many-requests, store-… */
  async callerOf({ authorization, address }: Asking): Promise<Caller> {
    const parts = partsOfToken(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '')
    if (authorization === undefined) throw refused()
    this.#refuseLocked(parts?.tokenId ?? null, address)
    const token = parts && (await this.#tokenOf(parts.tokenId))
    if (!token || !isSecretOf(token, parts.secret)) {
      await this.#failed(token?.tokenId ?? null, address)
      throw refused()
    }
    this.#tokens.succeeded(token.tokenId)
    if (!(await this.isStillGood(token.tokenId))) throw refused()
    const seconds = this.#rate.take(token.tokenId, this.#nowMs())
    if (seconds > 0) throw new Later('this token asks more often than it may', seconds)
    const { tokenId, person, role, expiresAt } = token
    return { tokenId, person, role, expiresAt, actor: `${person} (token ${tokenId})` }
  }

  /** Not ended, not revoked: also asked of answers that go on for long. */
  async isStillGood(tokenId: string): Promise<boolean> {
    const known = this.#known.get(tokenId)
    const nowMs = this.#nowMs()
    if (!known || nowMs >= Date.parse(known.token.expiresAt)) return false
    const ageMs = nowMs - known.checkedMs
    if (ageMs >= 0 && ageMs < this.#limits.tokenCheckedMs) return true
    if (await isTokenRevoked(this.#repository.sealed, tokenId)) return false
    this.#known.set(tokenId, { token: known.token, checkedMs: nowMs })
    return true
  }

  /** A token never changes but by being revoked: once read is enough. */
  async #tokenOf(tokenId: string): Promise<AccessToken | null> {
    const known = this.#known.get(tokenId)
    if (known) return known.token
    const token = await findToken(this.#repository.sealed, tokenId)
    if (token) this.#known.set(tokenId, { token, checkedMs: Number.NEGATIVE_INFINITY })
    return token
  }

  /** Whoever is known to come with the right secret from a locked address is heard all the same. */
  #refuseLocked(tokenId: string | null, address: string): void {
    const nowMs = this.#nowMs()
    const isKnown = tokenId !== null && this.#known.get(tokenId) !== undefined
    const ofToken = tokenId === null ? 0 : this.#tokens.lockedSeconds(tokenId, nowMs)
    const ofAddress = isKnown ? 0 : this.#addresses.lockedSeconds(address, nowMs)
    const seconds = Math.max(ofToken, ofAddress)
    if (seconds > 0) throw new Later('too many wrong tokens came before', seconds)
  }

  async #failed(tokenId: string | null, address: string): Promise<void> {
    const nowMs = this.#nowMs()
    const locked = [
      ...(tokenId !== null && this.#tokens.failed(tokenId, nowMs) ? [`token ${tokenId}`] : []),
      ...(this.#addresses.failed(address, nowMs) ? [`address ${address}`] : []),
    ]
    for (const subject of locked) {
      await this.#repository.audit.append({
        time: new Date(nowMs).toISOString(),
        actor: address,
        action: 'api.lock-out',
        subject,
        outcome: 'refused',
        detail: 'too many wrong secrets',
      })
    }
  }
}

/** @throws role-refused */
export function refuseOtherRoles(caller: Caller, roles: readonly TokenRole[]): void {
  if (roles.includes(caller.role)) return
  throw new Failure('role-refused', `this wants a token of role ${roles.join(' or ')}, and yours is ${caller.role}`, {
    hints: ['`chartkeep token create --role …` makes one.'],
  })
}

function refused(): Failure {
  return new Failure('token-refused', 'no token, or none that is good', {
    hints: ['Send `Authorization: Bearer …` with a token of `chartkeep token create`.'],
  })
}
