/**
 * Restores of patients, as the repository keeps them: that each can be read, and that none which was committed has lost
 * what undoes it.
 */
import { APPROVAL_PREFIX, CHANGESET_PREFIX, changesetKey, OUTCOME_PREFIX } from '../repository/layout.ts'
import type { Repository } from '../repository/repository.ts'
import { readApproval } from '../restore/patient/approval.ts'
import { readChangeset, readOutcome } from '../restore/patient/changeset.ts'
import { damageOf, type Finding, finding, warning } from './finding.ts'

/** @param names of objects that are there, under the three prefixes. @throws store-… */
export async function changesetFindings(repository: Repository, names: readonly string[]): Promise<Finding[]> {
  const findings: Finding[] = []
  const there = new Set(names)
  const ended = new Set(idsOf(names, OUTCOME_PREFIX))
  for (const name of names) {
    const problem = await problemOf(repository, name)
    if (problem !== null) findings.push(finding({ kind: 'changeset-damaged', object: name, message: problem }))
  }
  for (const id of ended) {
    if (there.has(changesetKey(id))) continue
    const message = `restore ${id} was committed, and what undoes it is not there`
    findings.push(finding({ kind: 'changeset-missing', object: changesetKey(id), message, patientsComplete: false }))
  }
  for (const id of idsOf(names, CHANGESET_PREFIX).filter((one) => !ended.has(one))) {
    const message = `the end of restore ${id} is not known: it was rolled back, or its agent died before it wrote that down`
    const hint = 'Make a plan for the patient: it shows what is there now.'
    findings.push(warning({ kind: 'changeset-open', object: changesetKey(id), message, hint, patientsComplete: false }))
  }
  return findings
}

async function problemOf(repository: Repository, name: string): Promise<string | null> {
  try {
    if (name.startsWith(APPROVAL_PREFIX)) await readApproval(repository, name)
    else if (name.startsWith(CHANGESET_PREFIX)) await readChangeset(repository, name.slice(CHANGESET_PREFIX.length))
    else await readOutcome(repository, name.slice(OUTCOME_PREFIX.length))
    return null
  } catch (error) {
    return damageOf(error).message
  }
}

function idsOf(names: readonly string[], prefix: string): string[] {
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
}
