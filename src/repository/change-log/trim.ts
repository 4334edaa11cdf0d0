/**
 * That the beginning of a log is not kept any more. Written before the first segment goes; without it a log that does
 * not begin with segment 0 is damaged. It holds what segment `first` must continue, so that the chain is proved from
 * there on as it was before.
 *
 *     trims/<log>/<first>     the highest one counts
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { trimKey, trimPrefix } from '../layout.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import { OBJECT_TYPES } from '../sealed-object.ts'
import type { SealedStore } from '../sealed-store.ts'

export interface LogTrim {
  /** The first segment that is kept; behind the newest one when none is. */
  readonly first: number
  /** Where the segment before it ended. */
  readonly start: bigint
  /** SHA-256 of that segment's plaintext, hex. */
  readonly previous: string
}

const trimSchema = z.strictObject({
  format: z.literal(1),
  logId: z.string(),
  first: z.int().positive(),
  start: z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/),
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  madeAt: z.string(),
})

/** The newest, or null. @throws repository-damaged, store-… */
export async function readTrim(sealed: SealedStore, logId: string): Promise<LogTrim | null> {
  const name = (await sealed.names(trimPrefix(logId))).at(-1)
  if (name === undefined) return null
  const parsed = trimSchema.safeParse(parseCanonical(await sealed.read(name, OBJECT_TYPES.logTrim), name))
  if (parsed.success && parsed.data.logId === logId && trimKey(logId, parsed.data.first) === name) {
    const { first, start, previous } = parsed.data
    return { first, start: parseLsn(start), previous }
  }
  throw new Failure('repository-damaged', `object ${name} does not say where change log ${logId} begins`, {
    context: { object: name },
  })
}

/** Durable on return; one that is there already stays. @throws store-… */
export async function writeTrim(sealed: SealedStore, logId: string, trim: LogTrim, madeAt: string): Promise<void> {
  const { first, start, previous } = trim
  const bytes = canonicalBytes({ format: 1, logId, first, start: formatLsn(start), previous, madeAt })
  await sealed.write(trimKey(logId, first), OBJECT_TYPES.logTrim, bytes).catch((error) => {
    if (!(error instanceof Failure && error.code === 'object-exists')) throw error
  })
}
