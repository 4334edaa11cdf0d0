/** The replication slot of a source: found again from configuration and repository alone, and never another's. */
import { sha256 } from '../../repository/crypto/provider.ts'

const NAME_BYTES_MAX = 63
const DIGEST_HEX = 12

/** `[a-z0-9_]`, at most 63 characters. Two repositories that follow one database have a slot each. */
export function slotName(repositoryId: string, sourceName: string): string {
  const digest = Buffer.from(sha256(Buffer.from(`${repositoryId}\n${sourceName}`)))
    .toString('hex')
    .slice(0, DIGEST_HEX)
  const readable = sourceName.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')
  const room = NAME_BYTES_MAX - 'chartkeep__'.length - DIGEST_HEX
  return `chartkeep_${readable.slice(0, room)}_${digest}`
}
