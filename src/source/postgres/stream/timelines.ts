/** The timelines that led to where the server is, each with the position at which the next one began (P5). */
import type { ConnectionSettings } from '../../contract.ts'
import { connect, type Row } from '../connect.ts'
import { toPostgresFailure } from '../failures.ts'

export interface Timeline {
  readonly timeline: number
  readonly forkLsn: bigint
}

/** Oldest first, without the one that goes on; so none on a server that never took over. */
export async function readTimelines(connection: ConnectionSettings): Promise<readonly Timeline[]> {
  try {
    await using session = await connect(connection, 'stream')
    const [system] = await session.query('IDENTIFY_SYSTEM')
    const current = Number(system?.timeline)
    // The first has no history, and its file does not exist.
    if (current === 1) return []
    const [file] = await session.query(`TIMELINE_HISTORY ${current}`)
    return parseHistory(file)
  } catch (error) {
    throw toPostgresFailure(error, { doing: 'reading the history of timelines', side: 'source' })
  }
}

/** Lines of number, position and reason; comments begin with `#`. */
function parseHistory(file: Row | undefined): Timeline[] {
  const lines = (file?.content ?? '').split('\n').filter((line) => /^\s*\d+\s/.test(line))
  return lines.map((line) => {
    const [timeline, lsn] = line.trim().split(/\s+/)
    const [high, low] = (lsn ?? '0/0').split('/')
    return { timeline: Number(timeline), forkLsn: (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`) }
  })
}
