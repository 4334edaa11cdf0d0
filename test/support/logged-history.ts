/**
 * A history by hand: a change log of which a test says every commit time and position, and snapshots that stand on it.
 * Snapshots hold no rows: what matters here is which of them, and how much of the log, leads to a moment.
 */
import type { LoggedTransaction } from '../../src/repository/change-log/change.ts'
import { ChangeLogWriter } from '../../src/repository/change-log/writer.ts'
import { formatLsn } from '../../src/repository/lsn.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { formatTimeUs } from '../../src/repository/state/moment.ts'
import { FakeSource } from './fake-source.ts'

/** Seconds of the history's day, which begins at this microsecond. */
const DAY_US = BigInt(Date.UTC(2026, 2, 1)) * 1000n
const NO_ROWS = {
  digest: '00'.repeat(32),
  level: 1,
  rows: 0,
  textBytes: 0,
  pack: '00'.repeat(16),
  offset: 0,
  storedBytes: 0,
}

export function secondUs(second: number): bigint {
  return DAY_US + BigInt(Math.round(second * 1e6))
}

export function atSecond(second: number): string {
  return formatTimeUs(secondUs(second))
}

/** `[commit LSN, second]`; a commit record is ten bytes long. */
export type Commit = readonly [lsn: number, second: number]

export interface SegmentByHand {
  readonly end: number
  readonly commits?: readonly Commit[]
  /** When it was sealed, and the catalog looked at. */
  readonly second?: number
  /** Where the database stood at that look; the segment's end when not given. */
  readonly seen?: number
  /** The second that the database's clock said at that look; it said none when not given. */
  readonly clock?: number
  /** Tables by name: any text that stands for what their definition is from then on. */
  readonly definitions?: Readonly<Record<string, string>>
}

export class LogByHand {
  readonly #writer: ChangeLogWriter
  #definitions: ReadonlyMap<string, string>
  #xid = 1000

  constructor(writer: ChangeLogWriter, definitions: ReadonlyMap<string, string>) {
    this.#writer = writer
    this.#definitions = definitions
  }

  static async begin(
    repository: Repository,
    start: number,
    definitions: Readonly<Record<string, string>>,
  ): Promise<LogByHand> {
    const tables = new Map(Object.entries(definitions))
    const writer = await ChangeLogWriter.begin(
      repository,
      {
        sourceName: 'icu',
        source: await new FakeSource({}).identify(),
        slot: 'by_hand',
        startLsn: BigInt(start),
        xidHorizon: '1000',
        previousLog: null,
        tables: [],
        fingerprint: { digest: 'start', tables },
      },
      { nowMs: () => Date.UTC(2026, 2, 1), random: (bytes) => Buffer.alloc(bytes, 7) },
    )
    return new LogByHand(writer, tables)
  }

  get logId(): string {
    return this.#writer.start.logId
  }

  async seal({ end, commits = [], second, seen, clock, definitions }: SegmentByHand): Promise<void> {
    if (definitions) this.#definitions = new Map(Object.entries(definitions))
    const sealedUs = secondUs(second ?? commits.at(-1)?.[1] ?? 0)
    await this.#writer.append({
      end: BigInt(end),
      sealedAt: new Date(Number(sealedUs / 1000n)).toISOString(),
      leaseToken: null,
      transactions: commits.map((commit) => this.#transaction(commit)),
      continues: false,
      unfinished: false,
      fingerprint: {
        digest: 'look',
        lsn: BigInt(seen ?? end),
        timeUs: clock === undefined ? null : secondUs(clock),
        tables: this.#definitions,
      },
      closed: [],
    })
  }

  /** Where a snapshot stands that was taken now. */
  place(): NonNullable<Manifest['log']> {
    const { segment, end } = this.#writer.head
    const head = segment && {
      segment: segment.header.number,
      sha256: segment.sha256,
      end: formatLsn(segment.header.end),
    }
    return {
      logId: this.logId,
      scanFrom: formatLsn(end),
      scanSegment: head === null ? 0 : head.segment + 1,
      head,
      transactions: null,
    }
  }

  #transaction([lsn, second]: Commit): LoggedTransaction {
    this.#xid += 1
    const commitLsn = BigInt(lsn)
    const commitTimeUs = secondUs(second)
    return { xid: this.#xid, commitLsn, endLsn: commitLsn + 10n, commitTimeUs, mark: null, changes: [] }
  }
}

export interface SnapshotByHand {
  readonly id: string
  readonly lsn: number
  readonly second: number
  readonly log?: NonNullable<Manifest['log']>
  /** Tables by name: their resolution. */
  readonly tables?: Readonly<Record<string, 'transaction' | 'snapshot'>>
}

export async function writeSnapshot(repository: Repository, made: SnapshotByHand): Promise<void> {
  const tables = Object.entries(made.tables ?? { 'public.t': 'transaction' as const })
  await repository.writeManifest({
    format: 1,
    snapshotId: made.id,
    repositoryId: repository.id,
    sourceName: 'icu',
    source: await new FakeSource({}).identify(),
    position: { lsn: formatLsn(BigInt(made.lsn)), visible: '1000:1000:', sourceTime: atSecond(made.second) },
    mode: 'base',
    modeReason: 'by hand',
    patient: null,
    tables: tables.map(([name, resolution]) => ({
      name,
      sqlName: name,
      oid: '1',
      category: 'other',
      partitionOf: null,
      columns: [{ name: 'id', type: 'integer', notNull: true }],
      primaryKey: ['id'],
      anchor: null,
      anchorPath: [],
      rows: NO_ROWS,
      locator: null,
      resolution,
    })),
    sequences: [],
    ddl: { origin: 'by hand', steps: [], notCarried: [] },
    notCaptured: [],
    indexSha256: '00'.repeat(32),
    log: made.log ?? null,
    previous: null,
    tool: { name: 'chartkeep', version: '0', node: '24' },
    run: { startedAt: '', endedAt: '', bytesRead: 0, bytesStored: 0, leavesStored: 0, leavesReused: 0 },
  })
}
