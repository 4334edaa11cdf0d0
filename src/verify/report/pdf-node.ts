/**
 * The part of pdfmake's document language that reports use. Its published types pull the browser's into the program and
 * lack what we need of fonts, so the few shapes are written here.
 */

export type Alignment = 'left' | 'right' | 'center'

/** Points: 1/72 inch. One number for all sides, `[horizontal, vertical]` or `[left, top, right, bottom]`. */
export type Margin = number | readonly [number, number] | readonly [number, number, number, number]

export interface PdfStyle {
  readonly margin?: Margin
  readonly fontSize?: number
  readonly bold?: boolean
  readonly color?: string
  readonly alignment?: Alignment
  readonly lineHeight?: number
  readonly characterSpacing?: number
  /** OpenType features by name: pdfmake hands them through to the font's layout. */
  readonly fontFeatures?: Readonly<Record<string, boolean>>
  /** Of a table's cell. */
  readonly fillColor?: string
  readonly border?: readonly [boolean, boolean, boolean, boolean]
  readonly colSpan?: number
  /** Within columns: points, `*` for what is left, `auto` for what the content takes. */
  readonly width?: number | string
  /** Not torn apart by the end of a page. */
  readonly unbreakable?: boolean
  readonly pageBreak?: 'before' | 'after'
  /** Set on headings: they do not stand alone at the foot of a page. */
  readonly headlineLevel?: number
  readonly wordBreak?: 'break-all' | 'normal'
}

export interface PdfTable {
  readonly body: readonly (readonly PdfNode[])[]
  readonly widths: readonly (number | string)[]
  readonly headerRows?: number
  readonly keepWithHeaderRows?: number
  readonly dontBreakRows?: boolean
}

/** Rules between rows and columns. Index 0 is above the first row, or left of the first column. */
export interface PdfTableLayout {
  readonly hLineWidth: (row: number, node: { readonly table: PdfTable }) => number
  readonly vLineWidth: (column: number, node: { readonly table: PdfTable }) => number
  readonly hLineColor?: (row: number) => string
  readonly vLineColor?: (column: number) => string
  readonly paddingLeft?: (column: number) => number
  readonly paddingRight?: (column: number, node: { readonly table: PdfTable }) => number
  readonly paddingTop?: (row: number) => number
  readonly paddingBottom?: (row: number) => number
}

/** A drawing in points from the node's upper left corner. */
export type PdfShape =
  | {
      readonly type: 'line'
      readonly x1: number
      readonly y1: number
      readonly x2: number
      readonly y2: number
      readonly lineWidth: number
      readonly lineColor: string
    }
  | {
      readonly type: 'rect'
      readonly x: number
      readonly y: number
      readonly w: number
      readonly h: number
      readonly color: string
    }

export type PdfContent =
  | { readonly text: string | readonly PdfNode[] }
  | { readonly stack: readonly PdfNode[] }
  | { readonly columns: readonly PdfNode[]; readonly columnGap?: number }
  | { readonly table: PdfTable; readonly layout: PdfTableLayout }
  | { readonly ul: readonly PdfNode[]; readonly markerColor?: string }
  | { readonly qr: string; readonly fit: number; readonly eccLevel: 'L' | 'M' | 'Q' | 'H' }
  | { readonly canvas: readonly PdfShape[] }

/** Made anew for each place: pdfmake writes its measures into the nodes it is given. */
export type PdfNode = PdfContent & PdfStyle
