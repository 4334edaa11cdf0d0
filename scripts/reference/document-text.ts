/** Clinical documents as XML: the kinds, their sections, and how a later version differs from the one before. */
import { localText } from './moment.ts'
import type { Patient } from './people.ts'
import { type Bedside, findingsText, planText } from './phrases.ts'
import type { Random } from './random.ts'

export interface DocumentKind {
  readonly kind: string
  readonly title: string
  /** Section titles, and how many sentences stand in each. */
  readonly sections: readonly (readonly [string, number])[]
}

export const documentKinds = {
  admission: {
    kind: '入科记录',
    title: '重症医学科入科记录',
    sections: [
      ['主诉', 2],
      ['现病史', 18],
      ['既往史', 8],
      ['体格检查', 20],
      ['辅助检查', 12],
      ['诊断依据', 8],
    ],
  },
  first: {
    kind: '首次病程记录',
    title: '首次病程记录',
    sections: [
      ['病例特点', 16],
      ['拟诊讨论', 10],
      ['鉴别诊断', 8],
    ],
  },
  round: {
    kind: '上级医师查房记录',
    title: '主任医师查房记录',
    sections: [
      ['查房情况', 14],
      ['病情分析', 12],
      ['指示', 8],
    ],
  },
  progress: {
    kind: '日常病程记录',
    title: '病程记录',
    sections: [
      ['病情变化', 14],
      ['查体', 14],
      ['检查结果', 10],
    ],
  },
  discharge: {
    kind: '转出记录',
    title: '转出重症医学科记录',
    sections: [
      ['入科情况', 10],
      ['诊疗经过', 22],
      ['转出情况', 10],
    ],
  },
} as const satisfies Readonly<Record<string, DocumentKind>>

/** Whom a document is about. */
export interface DocumentSubject extends Bedside {
  readonly patient: Pick<Patient, 'mrn' | 'name' | 'sex' | 'ageYears'>
  readonly unit: { readonly name: string }
  readonly bed: { readonly bedNo: number }
  readonly diagnosis: { readonly name: string }
}

/** A document of three to ten kilobytes. */
export function documentText(stay: DocumentSubject, random: Random, kind: DocumentKind, writtenAt: number): string {
  const { patient } = stay
  const sections = kind.sections
    .map(
      ([title, sentences]) =>
        `  <section title="${title}">\n    <text>${findingsText(stay, random, sentences)}</text>\n  </section>`,
    )
    .join('\n')
  return `<?xml version="1.0" encoding="UTF-8"?>
<clinicalDocument kind="${kind.kind}">
  <patient mrn="${patient.mrn}" name="${patient.name}" sex="${patient.sex}" age="${patient.ageYears}岁"/>
  <encounter department="${stay.unit.name}" bed="${stay.bed.bedNo}" diagnosis="${stay.diagnosis.name}"/>
  <effectiveTime value="${localText(writtenAt)}"/>
${sections}
  <section title="诊疗计划">
    <text>${planText(random, 4)}</text>
  </section>
</clinicalDocument>`
}

/** The next version: one more paragraph before the end, the rest untouched. */
export function revisedText(content: string, addition: string, savedAt: number): string {
  const end = content.lastIndexOf('</clinicalDocument>')
  const section = `  <section title="修改 ${localText(savedAt)}">\n    <text>${addition}</text>\n  </section>\n`
  return `${content.slice(0, end)}${section}${content.slice(end)}`
}
