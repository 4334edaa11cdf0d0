/** Holds and marks of prune: that each can be opened. With one that cannot, nothing is forgotten or pruned. */
import { parseCanonical } from '../repository/canonical-json.ts'
import { HOLD_PREFIX, PRUNE_PREFIX } from '../repository/layout.ts'
import type { Repository } from '../repository/repository.ts'
import { OBJECT_TYPES } from '../repository/sealed-object.ts'
import { damageOf, type Finding, finding } from './finding.ts'

const HINT =
  'Bring the object back from a copy. A hold holds on by the audit, too: then `chartkeep hold --list` shows it.'

/** @param names of objects that are listed, under the two prefixes. @throws store-… */
export async function retentionFindings(repository: Repository, names: readonly string[]): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const name of names) {
    try {
      const type = name.startsWith(HOLD_PREFIX) ? OBJECT_TYPES.hold : OBJECT_TYPES.pruneMark
      parseCanonical(await repository.sealed.read(name, type), name)
    } catch (error) {
      const { code, message } = damageOf(error)
      // Released, or carried out, since it was listed.
      if (code === 'object-missing') continue
      findings.push(finding({ kind: 'retention-damaged', object: name, message, hint: HINT }))
    }
  }
  return findings
}

export const RETENTION_PREFIXES = [HOLD_PREFIX, PRUNE_PREFIX]
