/** What lies in the database that will end, or is not kept: sequences near their end, large objects, foreign tables. */
import type { Observation } from '../../health-contract.ts'
import { shownName } from '../catalog.ts'
import { findNotCaptured } from '../not-captured.ts'
import type { HealthGroup } from './group.ts'

export const sequences: HealthGroup = {
  topics: ['sequence-ending'],
  look: async (session) => {
    const rows = await session.query(SEQUENCES)
    return rows.map(({ name, last, limit, share, column_name }) => ({
      topic: 'sequence-ending',
      objects: [name ?? ''],
      found: `last_value = ${last} of ${limit}${column_name == null ? '' : ` (${column_name})`}`,
      measure: Number(share),
    }))
  },
}

/** The end is where the sequence or the column that it feeds has no more numbers, whichever comes first. */
const SEQUENCES = `
  WITH fed AS (
    SELECT d.objid AS seq, min(CASE a.atttypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 END) AS type_max,
      min(a.attname) FILTER (WHERE a.atttypid IN (21, 23)) AS column_name
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 GROUP BY d.objid),
  state AS (
    SELECT ${shownName('s.schemaname', 's.sequencename')} AS name, s.last_value AS last, s.min_value AS low,
      least(s.max_value, coalesce(fed.type_max, s.max_value)) AS limit, fed.column_name
    FROM pg_catalog.pg_sequences s JOIN pg_catalog.pg_namespace n ON n.nspname = s.schemaname
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
      LEFT JOIN fed ON fed.seq = c.oid
    WHERE s.increment_by > 0 AND NOT s.cycle AND s.last_value IS NOT NULL)
  SELECT *, (last - low)::numeric / nullif(state.limit - low, 0)::numeric AS share FROM state
  WHERE (last - low)::numeric / nullif(state.limit - low, 0)::numeric > 0.5 ORDER BY name`

export const notKept: HealthGroup = {
  topics: ['large-objects', 'not-kept'],
  look: async (session) => {
    const found = await findNotCaptured(session, [])
    return found.flatMap(({ kind, name, count }): Observation[] => {
      if (kind === 'large objects') return [{ topic: 'large-objects', objects: [name], found: `${count}` }]
      const holdsRows = kind === 'foreign table' || (kind === 'extension table' && (count ?? 0) > 0)
      return holdsRows ? [{ topic: 'not-kept', objects: [name], found: kind }] : []
    })
  },
}
