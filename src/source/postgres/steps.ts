/** How the steps of a rebuilding are told apart by those who write them and those who run them. */
import type { DdlStep } from '../contract.ts'

const RIGHTS = /^(OWNER|ACL|DEFAULT ACL|POLICY) /

/** Owners, grants and policies: they name roles, which may not exist where the database is rebuilt. */
export function isRightsStep(step: DdlStep): boolean {
  return RIGHTS.test(step.object)
}
