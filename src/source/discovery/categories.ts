/**
 * What the certificate counts a table under, by its name in English, Chinese or pinyin, or by its comment. The first
 * rule that fits decides, so the narrow ones stand first. What fits none counts with the table it belongs to, else
 * under 字典 when others refer to it, else under 其他.
 */
import type { AnchorGuess } from './anchors.ts'
import { bareName, type LogicalTable, schemaName, singular, words } from './logical-tables.ts'

export interface CategoryGuess {
  readonly table: string
  readonly category: string
  readonly reason: string
}

interface Rule {
  readonly category: string
  /** English words of a table's name, singular; all of a group must be there. */
  readonly words: readonly string[]
  readonly chinese: RegExp
  /** Pinyin of a word of the name, whole or initials. */
  readonly pinyin: RegExp
}

const DICTIONARY = '字典'
const PATIENTS = '患者'
const OTHER = '其他'

/** Names of the things an ICU has: the whole name, because `device_data` is not a dictionary. */
const MASTER_TABLES =
  /^(t_|tb_|icu_|sys_|base_)*(beds?|devices?|equipment|wards?|departments?|depts?|staffs?|employees?|users?|doctors?|nurses?|providers?|caregivers?|items?|drugs?|hospitals?|rooms?|roles?|permissions?|icd_?codes?|床位|设备|科室|病区|人员|职工|用户|药品|项目|ksxx|ryxx|cwxx|ypxx)(_?(info|master|list))?$/i
const DICTIONARY_NAME =
  /(^d_|^(dict|dic|dim|code|lookup|ref)(_|$)|_(dict|dic|code|lookup|type|enum)s?$|字典|代码|编码|^zd_|_zd$)/i

const RULES: readonly Rule[] = [
  {
    category: '审计',
    words: ['audit', 'log', 'journal', 'history log'],
    chinese: /审计|日志|操作记录/,
    pinyin: /^(rz|czrz|rizhi|shenji)$/,
  },
  {
    category: '质控数据',
    words: ['quality', 'qc', 'indicator', 'bundle'],
    chinese: /质控|质量|指标/,
    pinyin: /^(zk|zksj|zkzb|zhikong|zhibiao)$/,
  },
  {
    category: '设备数据',
    words: ['device', 'ventilator', 'pump', 'monitor alarm', 'crrt', 'ecmo', 'waveform', 'alarm'],
    chinese: /设备|呼吸机|微量泵|输液泵|报警|波形/,
    pinyin: /^(sb|sbsj|sbcj|hxj|shebei|huxiji)$/,
  },
  {
    category: '出入量',
    words: ['fluid', 'intake', 'output', 'balance', 'inputevent', 'outputevent', 'ingredientevent', 'drainage'],
    chinese: /出入量|出量|入量|液体|引流/,
    pinyin: /^(crl|crljl|churuliang)$/,
  },
  {
    category: '评分',
    words: ['score', 'scoring', 'apache', 'sofa', 'gcs', 'rass', 'braden'],
    chinese: /评分|评估量表/,
    pinyin: /^(pf|pfjl|pingfen)$/,
  },
  {
    category: '检验',
    words: ['lab', 'labevent', 'microbiologyevent', 'microbiology', 'specimen', 'test result', 'bloodgas', 'blood gas'],
    chinese: /检验|化验|血气|微生物|标本/,
    pinyin: /^(jy|jyjg|jyxx|lis|jianyan|huayan)$/,
  },
  {
    category: '护理记录',
    words: ['nursing', 'nurse', 'care', 'procedureevent', 'datetimeevent', 'handover', 'shift'],
    chinese: /护理|交班|交接/,
    pinyin: /^(hl|hljl|hlpg|huli)$/,
  },
  {
    category: '医嘱',
    words: ['order', 'execution', 'prescription', 'pharmacy', 'medication', 'emar', 'poe', 'drug', 'infusion'],
    chinese: /医嘱|处方|用药|给药|执行单/,
    pinyin: /^(yz|yzzx|yzxx|yzjl|yizhu|chufang)$/,
  },
  {
    category: '病历文书',
    words: [
      'document',
      'note',
      'emr',
      'signature',
      'consent',
      'diagnosis',
      'diagnose',
      'procedure',
      'drgcode',
      'hcpcsevent',
      'report',
    ],
    chinese: /病历|文书|病程|签名|知情同意|诊断|手术|报告/,
    pinyin: /^(bl|blws|bljl|bcjl|ws|wenshu|bingli|zd)$/,
  },
  {
    category: '生命体征',
    words: ['vital', 'chartevent', 'observation', 'temperature', 'omr', 'hemodynamic'],
    chinese: /体征|体温|心率|血压|血氧|监护/,
    pinyin: /^(smtz|tz|tzjl|tizheng|shengmingtizheng)$/,
  },
  {
    category: PATIENTS,
    words: ['patient', 'admission', 'stay', 'icustay', 'transfer', 'visit', 'encounter', 'service', 'bed history'],
    chinese: /患者|病人|住院|入院|入科|转科|转床|就诊|住次/,
    pinyin: /^(br|brxx|brjbxx|hz|hzxx|zyxx|rkxx|zk xx|zyjl|huanzhe|bingren|ruyuan|zhuyuan)$/,
  },
]

/** Tables that are nobody's, by name alone: needed before anchors are sought. */
export function findDictionaries(tables: readonly LogicalTable[]): Map<string, string> {
  return new Map(
    tables.flatMap((table) => {
      const reason = dictionaryReason(table)
      return reason === null ? [] : [[table.name, reason] as const]
    }),
  )
}

export function findCategories(
  tables: readonly LogicalTable[],
  anchors: readonly AnchorGuess[],
  dictionaries: ReadonlyMap<string, string>,
  referenced: ReadonlySet<string>,
): CategoryGuess[] {
  const anchorOf = new Map(anchors.map((anchor) => [anchor.table, anchor]))
  const byRule = new Map(tables.map((table) => [table.name, guessByRule(table)]))
  return tables.map((table) => {
    const { name } = table
    const dictionary = dictionaries.get(name)
    if (dictionary !== undefined) return { table: name, category: DICTIONARY, reason: dictionary }
    return byRule.get(name) ?? guessByPlace(name, anchorOf, byRule, referenced)
  })
}

function dictionaryReason(table: LogicalTable): string | null {
  const name = words(bareName(table.name)).join('_')
  const schema = schemaName(table.name)
  if (DICTIONARY_NAME.test(schema)) return `schema ${schema}`
  if (DICTIONARY_NAME.test(name)) return `name ${name}`
  if (MASTER_TABLES.test(name)) return `name ${name}`
  return table.comment !== null && /(字典|代码表|编码表|对照表)/.test(table.comment) ? `comment ${table.comment}` : null
}

function guessByRule(table: LogicalTable): CategoryGuess | undefined {
  const name = bareName(table.name)
  const parts = words(name).map(singular)
  for (const { category, ...rule } of RULES) {
    const found = rule.words.find((group) => group.split(' ').every((word) => parts.some((part) => isWord(part, word))))
    if (found !== undefined) return { table: table.name, category, reason: `name: ${found}` }
    const chinese = rule.chinese.exec(name)?.[0]
    if (chinese !== undefined) return { table: table.name, category, reason: `name: ${chinese}` }
    const pinyin = parts.find((part) => rule.pinyin.test(part))
    if (pinyin !== undefined) return { table: table.name, category, reason: `name: pinyin ${pinyin}` }
  }
  const comment = table.comment ?? ''
  const rule = RULES.find((each) => each.chinese.test(comment))
  if (rule === undefined) return undefined
  return { table: table.name, category: rule.category, reason: `comment: ${rule.chinese.exec(comment)![0]}` }
}

/** `diagnoses_icd` and `diagnosis` are one word; short words must be whole. */
function isWord(part: string, word: string): boolean {
  return part === word || (word.length >= 6 && part.startsWith(word))
}

function guessByPlace(
  name: string,
  anchorOf: ReadonlyMap<string, AnchorGuess>,
  byRule: ReadonlyMap<string, CategoryGuess | undefined>,
  referenced: ReadonlySet<string>,
): CategoryGuess {
  const anchor = anchorOf.get(name)
  const parent = anchor?.via == null ? undefined : byRule.get(anchor.via)
  if (parent !== undefined && parent.category !== PATIENTS) {
    return { table: name, category: parent.category, reason: `belongs to ${parent.table}` }
  }
  if (anchor === undefined && referenced.has(name)) {
    return { table: name, category: DICTIONARY, reason: 'no patient; other tables refer to it' }
  }
  return { table: name, category: OTHER, reason: 'nothing in its name or comment says more' }
}
