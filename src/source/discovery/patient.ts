/**
 * Which table is the patients', by marks: what it is called, what it knows of a person, and how many tables carry its
 * key. No single mark is enough (staff have names and birth dates too, wards are referred to by everything), and
 * foreign keys may be missing altogether.
 */
import type { SourceProfile } from '../contract.ts'
import { bareName, type LogicalTable, normalName, singular, words } from './logical-tables.ts'

export interface PatientGuess {
  readonly table: string
  readonly key: string
  readonly label: readonly string[]
  readonly reason: string
}

interface Candidate {
  readonly table: LogicalTable
  readonly key: string
  readonly score: number
  readonly reasons: readonly string[]
}

/** Below this, a database is better drafted without patients than with wrong ones. */
const SCORE_MIN = 6
const REFERENCES_SCORE_MAX = 5

const PATIENT_NAME =
  /^(t_|tb_|tbl_|icu_|dim_|zy_|his_|emr_)*(patients?|pats?|persons?|patient_?(info|base|basic|master|index|main)|pat_master_index|brxx|brjbxx|hzxx|hzjbxx|huanzhe|bingren|patient_?basic_?info)$/i
const PATIENT_CHINESE = /(患者|病人)(信息|基本信息|主索引|档案|主表|表)?$/
const NOT_PATIENT =
  /(staff|employee|user|doctor|nurse|physician|provider|caregiver|医生|护士|职工|员工|用户|人员|ygxx|zgxx)/i
const PERSON_COLUMNS: readonly (readonly [string, RegExp])[] = [
  ['birth', /(birth|^dob$|出生|csrq|chusheng|anchor_?age)/i],
  ['sex', /(^sex$|gender|性别|^xb$|xingbie)/i],
  ['name', /(^name$|patient_?name|^pat_?name$|姓名|^xm$|xingming)/i],
  ['identity card', /(id_?card|身份证|sfz|identity_?no)/i],
  ['death', /(^dod$|death|死亡|swrq)/i],
]
/** A record number: what the ward calls a patient by. */
const RECORD_NUMBER =
  /^(mrn|mr_?no|.*medical_?record.*|.*hospital_?no|.*inpatient_?no|.*inp_?no|case_?no|chart_?no|住院号|病案号|病历号|就诊号|zyh|bah|blh|patient_?no|pat_?no)$/i
const KEY_NAME =
  /^(patient|pat|person|subject|stay|icu_?stay|visit|encounter|admission|hadm|adm|br|hz|zy|患者|病人|住院|就诊)?_?(id|no|key|code|号|编号|主键)$/i

export async function findPatientTable(
  tables: readonly LogicalTable[],
  profile: SourceProfile,
  sampleRows: number,
): Promise<PatientGuess | null> {
  const found: Candidate[] = []
  for (const table of tables) {
    if (nameScore(table).score === 0 && personColumns(table).length < 2) continue
    const key = await findSingleKey(table, profile, sampleRows)
    if (key !== null) found.push(rate(table, key, tables))
  }
  const [best] = found.sort((left, right) => right.score - left.score)
  if (best === undefined || best.score < SCORE_MIN) return null
  return {
    table: best.table.name,
    key: best.key,
    label: recordNumbers(best.table, best.key),
    reason: best.reasons.join('; '),
  }
}

/** The only column of the primary key or of a unique one; else one that is called like a key and looks unique. */
export async function findSingleKey(
  table: LogicalTable,
  profile: SourceProfile,
  sampleRows: number,
): Promise<string | null> {
  const declared = declaredSingleKey(table)
  if (declared !== null) return declared
  const stem = singular(normalName(bareName(table.name)))
  const named = table.columns.filter(({ name }) => KEY_NAME.test(name) || normalName(name) === `${stem}id`)
  for (const { name } of named) {
    if (await profile.looksUnique({ sqlName: table.sqlName, column: name }, sampleRows)) return name
  }
  return null
}

export function declaredSingleKey(table: LogicalTable): string | null {
  if (table.primaryKey.length === 1) return table.primaryKey[0]!
  if (table.primaryKey.length > 1) return null
  return table.uniqueKeys.find((key) => key.length === 1)?.[0] ?? null
}

function rate(table: LogicalTable, key: string, tables: readonly LogicalTable[]): Candidate {
  const name = nameScore(table)
  const person = personColumns(table)
  const declared = tables.filter((other) =>
    other.foreignKeys.some((each) => each.references === table.name && each.referencedColumns.includes(key)),
  ).length
  const isGeneric = ['id', 'code', 'no', 'key'].includes(normalName(key))
  const sameName = isGeneric
    ? 0
    : tables.filter(
        (other) => other !== table && other.columns.some((column) => normalName(column.name) === normalName(key)),
      ).length
  const carried = Math.max(declared, sameName)
  const reasons = [
    ...(name.reason === '' ? [] : [name.reason]),
    ...(person.length === 0 ? [] : [`it has ${person.join(', ')}`]),
    ...(declared > 0 ? [`other tables with a foreign key to ${key}: ${declared}`] : []),
    ...(declared === 0 && sameName > 0 ? [`other tables with a column ${key}: ${sameName}`] : []),
  ]
  return { table, key, reasons, score: name.score + person.length * 1.5 + Math.min(carried, REFERENCES_SCORE_MAX) }
}

function nameScore(table: LogicalTable): { score: number; reason: string } {
  const name = bareName(table.name)
  const comment = table.comment?.trim() ?? ''
  if (NOT_PATIENT.test(name)) return { score: -6, reason: '' }
  if (PATIENT_NAME.test(words(name).join('_')) || PATIENT_CHINESE.test(name))
    return { score: 5, reason: `it is called ${name}` }
  if (PATIENT_CHINESE.test(comment))
    return { score: 4, reason: `its comment says ${PATIENT_CHINESE.exec(comment)![0]}` }
  if (words(name).map(singular).includes('patient')) return { score: 2, reason: `its name holds patient` }
  return { score: 0, reason: '' }
}

function personColumns(table: LogicalTable): string[] {
  return PERSON_COLUMNS.flatMap(([, pattern]) => table.columns.find(({ name }) => pattern.test(name))?.name ?? [])
}

function recordNumbers(table: LogicalTable, key: string): string[] {
  return table.columns.map(({ name }) => name).filter((name) => name !== key && RECORD_NUMBER.test(name))
}
