/** The end of the change log that capture writes, as one session sees it: nothing is appended without the lease. */
import type { TransactionStamp } from '../../repository/change-log/change.ts'
import type { TableClosing } from '../../repository/change-log/segment-header.ts'
import type { ChangeLogWriter } from '../../repository/change-log/writer.ts'
import type { Coverage } from './coverage.ts'
import type { SegmentContent } from './pending-segment.ts'

/** The right to write, as long as it lasts. */
export interface Fence {
  readonly token: number
  /** @throws lease-lost */
  assertHeld(): void
}

export interface Appended {
  readonly segment: number
  readonly closed: readonly TableClosing[]
}

export class LogTail {
  readonly #writer: ChangeLogWriter
  readonly #fence: Fence
  readonly #nowMs: () => number
  readonly #timeline: number
  /** The last transaction that is in the log whole, as far as this session knows. */
  lastCommit: TransactionStamp | null = null

  constructor(
    writer: ChangeLogWriter,
    fence: Fence,
    world: { readonly nowMs: () => number; readonly timeline: number },
  ) {
    this.#writer = writer
    this.#fence = fence
    this.#nowMs = world.nowMs
    this.#timeline = world.timeline
  }

  get logId(): string {
    return this.#writer.start.logId
  }

  get end(): bigint {
    return this.#writer.head.end
  }

  /** Of the covered tables, as of the newest segment. */
  get fingerprint(): ReadonlyMap<string, string> {
    return this.#writer.head.fingerprint
  }

  /** Durable on return. @throws lease-lost, store-… */
  async append(content: SegmentContent, coverage: Coverage): Promise<Appended> {
    this.#fence.assertHeld()
    const { header } = await this.#writer.append({
      end: content.end,
      sealedAt: new Date(this.#nowMs()).toISOString(),
      leaseToken: this.#fence.token,
      timeline: this.#timeline,
      transactions: content.transactions,
      continues: content.continues,
      unfinished: content.unfinished,
      fingerprint: coverage,
      closed: [],
    })
    this.lastCommit = content.lastCommit ?? this.lastCommit
    return { segment: header.number, closed: header.closed }
  }
}
