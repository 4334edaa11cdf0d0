/** The head of a report without a cover: its title, large, with the other language beneath. */
import type { Language, Phrase } from './language.ts'
import type { PdfNode } from './pdf-node.ts'
import { ACCENT, MUTED } from './style.ts'

export function titleBlock(title: Phrase, language: Language, organisation: string): PdfNode {
  return {
    stack: [
      { text: organisation, fontSize: 10, color: MUTED, alignment: 'center', margin: [0, 4, 0, 2] },
      { text: title[language], fontSize: 21, bold: true, color: ACCENT, alignment: 'center', lineHeight: 1.15 },
      {
        text: title[language === 'zh' ? 'en' : 'zh'],
        fontSize: 10,
        color: MUTED,
        alignment: 'center',
        margin: [0, 0, 0, 2],
      },
    ],
  }
}
