/** What the API stands on: everything it does is done by these. */
import type { Configuration } from '../config.ts'
import type { Repository } from '../repository/repository.ts'
import type { Service } from '../service/contract.ts'
import type { World } from '../world.ts'

export interface ApiDependencies {
  readonly configuration: Configuration
  /** Stays the caller's, who closes it behind the server. */
  readonly repository: Repository
  readonly service: Service
  /** Where passwords of databases come from. */
  readonly world: World
  /** Of this machine, for the rows of a moment. */
  readonly temporaryDirectory: string
  readonly nowMs: () => number
  readonly random: (bytes: number) => Uint8Array
  /** Fires when the service stops: what only looks is cut short. */
  readonly signal: AbortSignal
  /** One for each request that was answered, for the log. No query, no body, no header of it (I9). */
  readonly onAnswered?: (record: AnsweredRequest) => void
  readonly limits?: Partial<ApiLimits>
}

export interface AnsweredRequest {
  readonly requestId: string
  readonly method: string
  /** As `/openapi.json` has it, with names in braces; `unknown` where there is none. */
  readonly route: string
  readonly status: number
  readonly milliseconds: number
  readonly tokenId: string | null
  /** Of an error that nobody expected: its class and place, never its message. */
  readonly defect: string | null
}

export interface ApiLimits {
  readonly bodyBytesMax: number
  /** Of one token. */
  readonly requestsPerSecond: number
  readonly burst: number
  /** Wrong secrets of one token, and of one address, until they are refused unheard. */
  readonly failuresOfToken: number
  readonly failuresOfAddress: number
  readonly lockedMs: number
  /** A revocation is noticed at the latest so long after it. */
  readonly tokenCheckedMs: number
  /** Of requests that fold or compare: more wait, and more than that are sent away. */
  readonly heavyAtOnce: number
  readonly heavyWaiting: number
  readonly answerMs: number
  readonly streams: number
  readonly streamLifeMs: number
}

export const USUAL_LIMITS: ApiLimits = {
  bodyBytesMax: 256 * 1024,
  requestsPerSecond: 20,
  burst: 60,
  failuresOfToken: 5,
  failuresOfAddress: 30,
  lockedMs: 15 * 60_000,
  tokenCheckedMs: 2_000,
  heavyAtOnce: 2,
  heavyWaiting: 16,
  answerMs: 60_000,
  streams: 64,
  streamLifeMs: 15 * 60_000,
}
