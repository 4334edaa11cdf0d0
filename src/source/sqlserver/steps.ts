/** How the steps of a rebuilding are told apart by those who write them and those who run them. */
import type { DdlStep } from '../contract.ts'

const NAME = String.raw`\[(?:[^\]]|\]\])+\]`
const QUALIFIED = String.raw`${NAME}\.${NAME}`
const KEY_OR_INDEX = new RegExp(
  String.raw`^(?:ALTER TABLE|CREATE (?:UNIQUE )?(?:NON)?CLUSTERED INDEX ${NAME} ON) (${QUALIFIED})\s`,
)
const CONSTRAINT = new RegExp(
  String.raw`^(ALTER TABLE ${QUALIFIED}) (?=ADD CONSTRAINT ${NAME} (?:FOREIGN KEY|CHECK)\b)`,
)
const REFERENCES = new RegExp(String.raw`\sREFERENCES (${QUALIFIED})`)

/** `sqlName` of the table on whose rows a key or an index stands. */
export function tableOfStep({ sql }: DdlStep): string | null {
  return KEY_OR_INDEX.exec(sql)?.[1] ?? null
}

export function tablesOfForeignKey(step: DdlStep): readonly string[] | null {
  const own = tableOfStep(step)
  const other = REFERENCES.exec(step.sql)?.[1]
  return own !== null && other !== undefined ? [own, other] : null
}

/** The statement that makes a constraint without looking at the rows; null for one that makes none, or does not look. */
export function withoutLooking({ sql }: DdlStep): string | null {
  const parts = CONSTRAINT.exec(sql)
  return parts === null ? null : `${parts[1]} WITH NOCHECK ${sql.slice(parts[0].length)}`
}
