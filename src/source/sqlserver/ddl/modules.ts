/**
 * Views, procedures, functions and triggers, by the text that they were made with, and under the two settings that a module
 * keeps from its making (ANSI_NULLS, QUOTED_IDENTIFIER). What another one needs comes before it.
 */
import type { DdlStep, NotCaptured } from '../../contract.ts'
import type { Row, Session } from '../connect.ts'
import { groupBy } from '../introspect.ts'
import { quoteQualified, quoteText, shownName } from '../quote.ts'

export interface ModuleSteps {
  /** Scalar functions, which tables may call. */
  readonly early: readonly DdlStep[]
  readonly late: readonly DdlStep[]
  /** Encrypted, or not ours to see. */
  readonly unreadable: readonly NotCaptured[]
}

const KINDS: Readonly<Record<string, string>> = {
  FN: 'FUNCTION',
  IF: 'FUNCTION',
  TF: 'FUNCTION',
  V: 'VIEW',
  P: 'PROCEDURE',
  TR: 'TRIGGER',
}

export async function moduleSteps(session: Session): Promise<ModuleSteps> {
  const modules = (await session.query(MODULES)).map((row): Row => ({ ...row, kind: (row.type ?? '').trim() }))
  const needs = groupBy(await session.query(DEPENDENCIES), 'object_id')
  const readable = modules.filter((row) => row.definition !== null)
  const isEarly = (row: Row) => row.kind === 'FN' && row.is_schema_bound !== '1'
  const ordered = inOrder(readable, needs)
  const triggers = ordered.filter((row) => row.kind === 'TR')
  const others = ordered.filter((row) => row.kind !== 'TR' && !isEarly(row))
  return {
    early: ordered.filter(isEarly).map((row) => moduleStep('before-rows', row)),
    late: [...others, ...triggers].flatMap((row) => [moduleStep('after', row), ...switchingOff(row)]),
    unreadable: modules
      .filter((row) => row.definition === null)
      .map((row) => ({
        kind: KINDS[row.kind ?? '']!.toLowerCase(),
        name: shown(row),
        reason: 'its text is encrypted or hidden',
      })),
  }
}

/** Each behind those it needs; what needs each other comes as it was made. */
export function inOrder(modules: readonly Row[], needs: ReadonlyMap<string, readonly Row[]>): Row[] {
  const byId = new Map(modules.map((row) => [row.object_id ?? '', row]))
  const done = new Set<string>()
  const ordered: Row[] = []
  const place = (id: string): void => {
    const row = byId.get(id)
    if (!row || done.has(id)) return
    done.add(id)
    for (const need of needs.get(id) ?? []) place(need.needed_id ?? '')
    ordered.push(row)
  }
  for (const id of byId.keys()) place(id)
  return ordered
}

/** The text runs as a batch within the batch: it must come first in one of its own. */
export function moduleStep(phase: DdlStep['phase'], row: Row): DdlStep {
  const onOff = (value: string | null | undefined) => (value === '1' ? 'ON' : 'OFF')
  const sql =
    `SET ANSI_NULLS ${onOff(row.uses_ansi_nulls)}; SET QUOTED_IDENTIFIER ${onOff(row.uses_quoted_identifier)};\n` +
    `EXEC sys.sp_executesql ${quoteText(row.definition ?? '')};\nSET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON`
  return { phase, object: `${KINDS[row.kind ?? '']} ${shown(row)}`, sql }
}

function switchingOff(row: Row): DdlStep[] {
  if (row.kind !== 'TR' || row.is_disabled !== '1') return []
  const trigger = quoteQualified(row.schema_name ?? '', row.name ?? '')
  const table = quoteQualified(row.parent_schema ?? '', row.parent_name ?? '')
  return [
    { phase: 'after', object: `SWITCHED OFF TRIGGER ${shown(row)}`, sql: `DISABLE TRIGGER ${trigger} ON ${table}` },
  ]
}

function shown(row: Row): string {
  return shownName(row.schema_name ?? '', row.name ?? '')
}

const MODULES = `
  SELECT CONVERT(nvarchar(20), o.object_id) AS object_id, o.type AS type, s.name AS schema_name, o.name AS name,
    m.definition AS definition, CONVERT(int, m.uses_ansi_nulls) AS uses_ansi_nulls,
    CONVERT(int, m.uses_quoted_identifier) AS uses_quoted_identifier, CONVERT(int, m.is_schema_bound) AS is_schema_bound,
    CONVERT(int, g.is_disabled) AS is_disabled, p.name AS parent_name, ps.name AS parent_schema
  FROM sys.sql_modules m JOIN sys.objects o ON o.object_id = m.object_id
    JOIN sys.schemas s ON s.schema_id = o.schema_id
    LEFT JOIN sys.triggers g ON g.object_id = o.object_id
    LEFT JOIN sys.objects p ON p.object_id = g.parent_id
    LEFT JOIN sys.schemas ps ON ps.schema_id = p.schema_id
  WHERE o.is_ms_shipped = 0 AND o.type IN ('FN', 'IF', 'TF', 'V', 'P', 'TR')
  ORDER BY o.object_id`

const DEPENDENCIES = `
  SELECT DISTINCT CONVERT(nvarchar(20), d.referencing_id) AS object_id, CONVERT(nvarchar(20), d.referenced_id) AS needed_id
  FROM sys.sql_expression_dependencies d WHERE d.referenced_id IS NOT NULL AND d.referencing_id <> d.referenced_id`
