/**
 * Our own statements for the usual kinds of object, where no pg_dump fits the server.
 *
 *     before-rows    schemas, extensions, then types, routines, sequences, tables and views in dependency order;
 *                    partitions attached; defaults and checks
 *     key-or-index   then attach, foreign-key
 *     after          statistics, rules, triggers, row security, comments, owners, grants
 *
 * Definitions that the server prints (pg_get_viewdef and its sisters) are of the present moment, not of the snapshot
 * (P22): they may be younger by the seconds between the two, for objects that the read does not lock.
 */
import type { SchemaDdl } from '../../contract.ts'
import type { Session } from '../connect.ts'
import { readBehaviourSteps } from './behaviour.ts'
import { readConstraintSteps } from './constraints.ts'
import { findNotCarried } from './not-carried.ts'
import { orderDefinitions } from './order.ts'
import { readRightsSteps } from './rights.ts'
import { readRoutines } from './routines.ts'
import { readExtensions, readSchemas } from './schemas.ts'
import { readSequenceOwners, readStandaloneSequences } from './sequences.ts'
import { step } from './statement.ts'
import {
  readColumnSteps,
  readDefaultSteps,
  readPartitionSteps,
  readReplicaIdentitySteps,
  readTables,
} from './tables.ts'
import { readDomainSteps, readTypes } from './types.ts'
import { readViews } from './views.ts'

export async function writeSchemaDdl(session: Session): Promise<SchemaDdl> {
  const ordered = await orderDefinitions(session, [
    ...(await readSchemas(session)),
    ...(await readExtensions(session)),
    ...(await readTypes(session)),
    ...(await readRoutines(session)),
    ...(await readStandaloneSequences(session)),
    ...(await readTables(session)),
    ...(await readViews(session)),
  ])
  return {
    origin: 'chartkeep',
    steps: [
      ...ordered.definitions.map(({ object, sql }) => step('before-rows', object, sql)),
      ...(await readSequenceOwners(session)),
      ...(await readPartitionSteps(session)),
      ...(await readColumnSteps(session)),
      ...(await readReplicaIdentitySteps(session)),
      ...(await readDefaultSteps(session)),
      ...(await readDomainSteps(session)),
      ...(await readConstraintSteps(session)),
      ...(await readBehaviourSteps(session)),
      ...(await readRightsSteps(session)),
    ],
    notCarried: [...ordered.notCarried, ...(await findNotCarried(session))],
  }
}
