/** Every check there is: a topic without one does not compile. */
import type { Check, Topic } from './check.ts'
import { captureChecks } from './checks/capture.ts'
import { layoutChecks } from './checks/layout.ts'
import { machineChecks } from './checks/machine.ts'
import { repositoryChecks } from './checks/repository.ts'
import { rightsChecks } from './checks/rights.ts'
import { serverChecks } from './checks/server.ts'

export const CHECKS: Readonly<Record<Topic, Check>> = {
  ...serverChecks,
  ...rightsChecks,
  ...captureChecks,
  ...layoutChecks,
  ...repositoryChecks,
  ...machineChecks,
}
