/** What every page of a certificate is written with: the data, and how its words, moments and numbers look in one language. */
import type { Column } from '../../report/blocks.ts'
import { formatCount, formatInstant, formatSpan, type Language, type Zone } from '../../report/language.ts'
import type { PdfNode } from '../../report/pdf-node.ts'
import { WORDS } from '../../report/words.ts'
import type { Certificate } from '../document.ts'
import { CERTIFICATE_WORDS } from './words.ts'

/** A certificate's own words come before those of every report. */
const PRINTED = { ...WORDS, ...CERTIFICATE_WORDS }

export class Paper {
  readonly certificate: Certificate
  /** Of certificate.json. */
  readonly sha256: string
  readonly language: Language
  readonly #zone: Zone

  constructor(certificate: Certificate, sha256: string, language: Language) {
    this.certificate = certificate
    this.sha256 = sha256
    this.language = language
    this.#zone = { offsetMinutes: certificate.rules.utcOffsetMinutes }
  }

  word(name: keyof typeof PRINTED): string {
    return PRINTED[name][this.language]
  }

  /** A column of numbers. */
  right(name: keyof typeof PRINTED): Column {
    return { title: this.word(name), align: 'right' }
  }

  moment(iso: string): string {
    return formatInstant(Math.floor(Date.parse(iso) / 1000) * 1000, this.#zone)
  }

  span(seconds: number | null): string {
    return seconds === null ? WORDS.notMeasured[this.language] : formatSpan(seconds * 1000, this.language)
  }
}

/** A number that should be nought stands out when it is not. */
export function strong(count: number): PdfNode {
  return { text: formatCount(count), bold: count > 0, alignment: 'right' }
}
