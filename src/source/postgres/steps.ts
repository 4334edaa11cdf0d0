/** How the steps of a rebuilding are told apart by those who write them and those who run them. */
import type { DdlStep } from '../contract.ts'

const NAME = String.raw`(?:"(?:[^"]|"")+"|[^\s".(;]+)`
const KEY_OR_INDEX = new RegExp(
  String.raw`^(?:ALTER TABLE|CREATE (?:UNIQUE )?INDEX ${NAME} ON)\s+(?:ONLY\s+)?(${NAME}\.${NAME})\s`,
)
const REFERENCES = new RegExp(String.raw`\sREFERENCES\s+(${NAME}\.${NAME})`)
const RIGHTS = /^(OWNER|ACL|DEFAULT ACL|POLICY) /

/** Owners, grants and policies: they name roles, which may not exist where the database is rebuilt. */
export function isRightsStep(step: DdlStep): boolean {
  return RIGHTS.test(step.object)
}

export function isPrimaryKeyStep({ sql }: DdlStep): boolean {
  return /\sPRIMARY KEY\s/.test(sql)
}

/** Whether a statement names a constraint or an index that another step would have made. @param object of that step */
export function mentions({ sql }: DdlStep, object: string): boolean {
  const name = /[^\s.]+$/.exec(object)?.[0]
  return name !== undefined && sql.includes(name.replaceAll('"', ''))
}

/**
 * The table on whose rows a key or an index stands, as the statement names it; null when it does not begin as pg_dump's
 * and ours do: then nothing is known.
 */
export function tableOfStep(step: DdlStep): string | null {
  return KEY_OR_INDEX.exec(step.sql)?.[1] ?? null
}

/**
 * The tables that making a foreign key locks, without quotes, as both kinds of statement then name them; null when that
 * cannot be told.
 */
export function tablesOfForeignKey(step: DdlStep): readonly string[] | null {
  const own = tableOfStep(step)
  const other = REFERENCES.exec(step.sql)?.[1]
  return own !== null && other !== undefined ? [own, other].map((name) => name.replaceAll('"', '')) : null
}
