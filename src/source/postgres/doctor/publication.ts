/** How each table's changes can be followed, what is published, and what is published although it must not be (P7, P9). */
import type { CapturePlan, TableCapture } from '../../change-contract.ts'
import type { HealthTopic, Observation } from '../../health-contract.ts'
import type { Session } from '../connect.ts'
import { quoteName } from '../quote.ts'
import { planCapture } from '../stream/plan.ts'
import { type PublicationFacts, readPublication, readTableFacts, type TableFacts } from '../stream/plan-facts.ts'
import { type Asked, type HealthGroup, isAskedAbout } from './group.ts'

export const publicationAndTables: HealthGroup = {
  topics: [
    'publication-missing',
    'publication-shape',
    'publication-owner',
    'publication-drift',
    'publication-danger',
    'table-unlogged',
    'table-without-key',
    'table-key-unusable',
    'table-replica-identity',
    'table-coarse',
  ],
  look: async (session, question) => {
    const facts = (await readTableFacts(session, question.publication)).filter(({ name }) =>
      isAskedAbout(question)(name),
    )
    const tables = facts.map(({ name }) => name)
    const plan = await planCapture(session, { publication: question.publication, tables, allowsUnlimitedSlot: true })
    const publication = await readPublication(session, question.publication)
    return [
      ...(await ofPublication(session, question, publication)),
      ...dangers(plan),
      ...ofTables(plan, facts, publication !== null),
    ]
  },
}

async function ofPublication(
  session: Session,
  { publication }: Asked,
  found: PublicationFacts | null,
): Promise<Observation[]> {
  const name = quoteName(publication)
  if (found === null) return [{ topic: 'publication-missing', objects: [publication], found: 'pg_publication: 0' }]
  const wrong = [
    ...(found.insertsAll ? [] : [`ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate');`]),
    ...(found.viaRoot ? [`ALTER PUBLICATION ${name} SET (publish_via_partition_root = false);`] : []),
    ...(found.sendsGenerated ? [`ALTER PUBLICATION ${name} SET (publish_generated_columns = none);`] : []),
  ]
  const seen: Observation[] = []
  if (wrong.length > 0) {
    const options = wrong.map((sql) => /\((.*?) =/.exec(sql)?.[1] ?? '').join(', ')
    seen.push({ topic: 'publication-shape', objects: [publication], found: options, remedySql: wrong })
  }
  const [row] = await session.query(
    `SELECT pg_get_userbyid(pubowner) AS owner, current_user AS role, pubowner = current_user::regrole AS ours
     FROM pg_catalog.pg_publication WHERE pubname = $1`,
    [publication],
  )
  if (row !== undefined && row.ours !== 't') {
    const remedySql = [`ALTER PUBLICATION ${name} OWNER TO ${quoteName(row.role ?? '')};`]
    seen.push({ topic: 'publication-owner', objects: [publication], found: `owner: ${row.owner}`, remedySql })
  }
  return seen
}

function dangers(plan: CapturePlan): Observation[] {
  return plan.dangers.map(({ table, reason, remedySql }) => ({
    topic: 'publication-danger',
    objects: [table],
    found: reason,
    remedySql: [remedySql],
  }))
}

function ofTables(plan: CapturePlan, facts: readonly TableFacts[], isPublished: boolean): Observation[] {
  const seen: Observation[] = []
  for (const capture of plan.tables) {
    if (capture.resolution === 'transaction') continue
    const table = facts.find(({ name }) => name === capture.table)
    const topic = table === undefined ? 'table-coarse' : topicOf(table, capture)
    // Without a publication no table is in it: that is one thing to say, not one for each table.
    if (topic === 'publication-drift' && !isPublished) continue
    const remedySql = capture.remedySql === null ? [] : [capture.remedySql]
    seen.push({ topic, objects: [capture.table], found: capture.reason ?? '', remedySql })
  }
  return seen
}

function topicOf(table: TableFacts, { reason }: TableCapture): HealthTopic {
  const { key } = table
  if (table.isUnlogged) return 'table-unlogged'
  if (table.namingColumn !== null) return 'table-coarse'
  if (key === null) return 'table-without-key'
  if (!key.isValid || !key.isImmediate || key.hasGenerated) return 'table-key-unusable'
  if (reason?.startsWith('replica identity')) return 'table-replica-identity'
  return table.isPublished ? 'table-coarse' : 'publication-drift'
}
