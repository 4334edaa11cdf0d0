/**
 * Lays a report out as PDF: A4, fonts embedded, the same bytes for the same document. Nothing is fetched: the only files
 * that pdfmake may open are the two fonts.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { groupsOfFour, type Language } from './language.ts'
import type { PdfNode } from './pdf-node.ts'
import { BODY, MUTED, PAGE_MARGINS, RULE, TEXT_WIDTH } from './style.ts'
import { fill, WORDS } from './words.ts'

export interface PdfDocument {
  readonly language: Language
  /** In the file's properties and above every page. */
  readonly title: string
  /** Beneath every page. */
  readonly number: string
  /** Above every page, at the right: the hospital, or the system. */
  readonly organisation: string
  /** Of the report, not of this printing: one report, one file. */
  readonly createdAtMs: number
  /** SHA-256 of the data that this document shows, in hexadecimal: beneath every page and among the file's keywords. */
  readonly jsonSha256: string
  /** A first page without head line. */
  readonly hasCover?: boolean
  readonly content: readonly PdfNode[]
}

interface NodeOnPage {
  readonly headlineLevel?: number
  readonly table?: object
  readonly pageNumbers: readonly number[]
  /** `verticalRatio`: how far down the page it begins. */
  readonly startPosition: { readonly verticalRatio: number }
}

interface NodesAround {
  getFollowingNodesOnPage(): readonly NodeOnPage[]
}

/** Of pdfmake, what is used here. */
interface PdfMaker {
  setFonts(fonts: Readonly<Record<string, { readonly normal: string; readonly bold: string }>>): void
  setUrlAccessPolicy(allows: (url: string) => boolean): void
  setLocalAccessPolicy(allows: (path: string) => boolean): void
  createPdf(definition: object): { getBuffer(): Promise<Uint8Array> }
}

const FONT = 'NotoSansHans'
/** pdfmake counts what stands above and beneath the text among a page's nodes: no heading stands above that. */
const FRAME = { headlineLevel: 9 } as const
const require = createRequire(import.meta.url)
let maker: PdfMaker | null = null

export async function renderPdf(document: PdfDocument): Promise<Uint8Array> {
  maker ??= loadMaker()
  return new Uint8Array(await maker.createPdf(definitionOf(document)).getBuffer())
}

/** Loaded at the first report: most commands never make one, and it takes a while. */
function loadMaker(): PdfMaker {
  const fonts = { normal: fontPath('Regular'), bold: fontPath('Bold') }
  const loaded: PdfMaker = require('pdfmake')
  loaded.setFonts({ [FONT]: fonts })
  loaded.setUrlAccessPolicy(() => false)
  loaded.setLocalAccessPolicy((path) => path === fonts.normal || path === fonts.bold)
  return loaded
}

function fontPath(weight: 'Regular' | 'Bold'): string {
  const directory = dirname(require.resolve('@embedpdf/fonts-sc'))
  return join(directory, '..', 'fonts', `NotoSansHans-${weight}.otf`)
}

function definitionOf(document: PdfDocument): object {
  const createdAt = new Date(document.createdAtMs)
  return {
    pageSize: 'A4',
    pageMargins: [...PAGE_MARGINS],
    language: document.language === 'zh' ? 'zh-CN' : 'en',
    displayTitle: true,
    info: {
      title: `${document.title} ${document.number}`,
      author: document.organisation,
      keywords: `sha256:${document.jsonSha256}`,
      creator: 'chartkeep',
      producer: 'chartkeep',
      creationDate: createdAt,
      modDate: createdAt,
    },
    defaultStyle: { font: FONT, ...BODY },
    header: (page: number) => (page === 1 && document.hasCover === true ? null : headerOf(document)),
    footer: (page: number, pages: number) => footerOf(document, page, pages),
    content: [...document.content],
    pageBreakBefore: ({ headlineLevel }: NodeOnPage, around: NodesAround) =>
      isHeading(headlineLevel) && isAlone(around.getFollowingNodesOnPage()),
  }
}

/**
 * Nothing follows, or a table whose head and first row go to the next page: these still count as being where the table
 * would have begun, all at one height.
 */
function isAlone(following: readonly NodeOnPage[]): boolean {
  const [next, ...further] = following.filter(({ headlineLevel }) => headlineLevel === undefined)
  if (next === undefined) return true
  if (next.table === undefined || next.pageNumbers.length === 1) return false
  return further.every(({ startPosition }) => startPosition.verticalRatio === next.startPosition.verticalRatio)
}

function isHeading(headlineLevel: number | undefined): boolean {
  return headlineLevel !== undefined && headlineLevel !== FRAME.headlineLevel
}

function headerOf({ title, organisation }: PdfDocument): PdfNode {
  const names: readonly PdfNode[] = [
    { text: title, ...FRAME },
    { text: organisation, alignment: 'right', ...FRAME },
  ]
  return {
    stack: [{ columns: names, ...FRAME }, thinRule(3)],
    fontSize: 8,
    color: MUTED,
    margin: [PAGE_MARGINS[0], 32, PAGE_MARGINS[2], 0],
    ...FRAME,
  }
}

function footerOf({ number, jsonSha256, language }: PdfDocument, page: number, pages: number): PdfNode {
  const columns: readonly PdfNode[] = [
    { text: `${WORDS.documentNumber[language]} ${number}`, width: '*', ...FRAME },
    { text: `SHA-256 ${groupsOfFour(jsonSha256.slice(0, 16))} …`, width: 'auto', ...FRAME },
    { text: fill(WORDS.page[language], { page, pages }), alignment: 'right', width: '*', ...FRAME },
  ]
  return {
    stack: [thinRule(-4), { columns, ...FRAME }],
    fontSize: 7.5,
    color: MUTED,
    margin: [PAGE_MARGINS[0], 18, PAGE_MARGINS[2], 0],
    ...FRAME,
  }
}

function thinRule(y: number): PdfNode {
  const line = { type: 'line', x1: 0, y1: y, x2: TEXT_WIDTH, y2: y, lineWidth: 0.4, lineColor: RULE } as const
  return { canvas: [line], ...FRAME }
}
