/** Sizes and shades of a report: ink on white, one dark accent, and nothing that a black-and-white print would lose. */
import type { PdfStyle, PdfTableLayout } from './pdf-node.ts'

export const INK = '#1b1e23'
export const ACCENT = '#1f3a5f'
export const MUTED = '#5d6673'
export const RULE = '#c3c9d1'
export const SHADE = '#f1f3f6'

/** Points. A4 is 595 wide: 487 are left for text. */
export const PAGE_MARGINS = [54, 66, 54, 58] as const
export const TEXT_WIDTH = 595.28 - PAGE_MARGINS[0] - PAGE_MARGINS[2]

export const BODY: PdfStyle = { fontSize: 9.5, color: INK, lineHeight: 1.32 }
export const SMALL: PdfStyle = { fontSize: 8, color: MUTED, lineHeight: 1.25 }

/** Half-width figures and letters, which the font has beside its proportional ones: digests line up. */
export const MONOSPACED: PdfStyle = { fontFeatures: { hwid: true, liga: false }, fontSize: 9 }

const edge = (column: number, node: { readonly table: { readonly widths: readonly unknown[] } }) =>
  column === 0 || column === node.table.widths.length

/** Head between two strong rules, rows parted by light ones. */
export const DATA_LAYOUT: PdfTableLayout = {
  hLineWidth: (row, { table }) => {
    if (row === 0 || row === table.body.length) return 0.9
    return row === (table.headerRows ?? 0) ? 0.7 : 0.35
  },
  vLineWidth: () => 0,
  hLineColor: (row) => (row <= 1 ? ACCENT : RULE),
  paddingLeft: (column) => (column === 0 ? 3 : 6),
  paddingRight: (column, { table }) => (column === table.widths.length - 1 ? 3 : 6),
  paddingTop: () => 3.5,
  paddingBottom: () => 1.5,
}

/** Names and values: light rules only. */
export const PAIRS_LAYOUT: PdfTableLayout = {
  ...DATA_LAYOUT,
  hLineWidth: () => 0.35,
  hLineColor: () => RULE,
}

/** A frame with a heavy left edge. */
export const CALLOUT_LAYOUT: PdfTableLayout = {
  hLineWidth: () => 0.7,
  vLineWidth: (column, node) => (column === 0 ? 4 : edge(column, node) ? 0.7 : 0),
  hLineColor: () => ACCENT,
  vLineColor: () => ACCENT,
  paddingLeft: () => 12,
  paddingRight: () => 12,
  paddingTop: () => 8,
  paddingBottom: () => 6,
}

export const BOX_LAYOUT: PdfTableLayout = {
  hLineWidth: () => 0.6,
  vLineWidth: () => 0.6,
  hLineColor: () => RULE,
  vLineColor: () => RULE,
  paddingLeft: () => 10,
  paddingRight: () => 10,
  paddingTop: () => 7,
  paddingBottom: () => 7,
}

export const BARE_LAYOUT: PdfTableLayout = {
  hLineWidth: () => 0,
  vLineWidth: () => 0,
  paddingLeft: () => 0,
  paddingRight: () => 0,
  paddingTop: () => 0,
  paddingBottom: () => 0,
}
