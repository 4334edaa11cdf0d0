/** How the steps of a rebuilding are told apart by those who write them and those who run them. */
import type { DdlStep } from '../contract.ts'

const RIGHTS = /^(OWNER|ACL|DEFAULT ACL) /

/** Owners and grants: they name roles, which may not exist where the database is rebuilt. */
export function isRightsStep(step: DdlStep): boolean {
  return RIGHTS.test(step.object)
}
