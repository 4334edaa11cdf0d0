/** The paper on which drills, guards and certificates are printed. */
import { describe, expect, it } from 'vitest'
import {
  callout,
  cover,
  dataTable,
  digest,
  heading,
  keyValues,
  paragraph,
  qr,
  signatures,
  timeline,
} from '../../../src/verify/report/blocks.ts'
import { CHINA, formatCount, formatInstant, formatSpan, groupsOfFour } from '../../../src/verify/report/language.ts'
import { type PdfDocument, renderPdf } from '../../../src/verify/report/pdf.ts'
import type { PdfNode } from '../../../src/verify/report/pdf-node.ts'
import { hasPdfText, pdfText } from '../../support/pdf-text.ts'

const DIGEST = 'ab12'.repeat(16)

describe('a report as PDF', () => {
  it('is the same file byte for byte whenever it is made', async () => {
    expect(Buffer.compare(await renderPdf(documentOf(everyBlock())), await renderPdf(documentOf(everyBlock())))).toBe(0)
  })

  it('bears the digest of its data where a reader without a PDF library finds it', async () => {
    const bytes = Buffer.from(await renderPdf(documentOf([paragraph('x')])))

    expect(bytes.toString('latin1')).toContain(`(sha256:${DIGEST})`)
  })

  it('has all its fonts in it', async () => {
    const bytes = await renderPdf(documentOf(everyBlock()))

    expect(Buffer.from(bytes).toString('latin1')).not.toContain('/Type1')
  })

  it.skipIf(!hasPdfText)('has text that can be read back, in Chinese and English', async () => {
    const text = pdfText(await renderPdf(documentOf(everyBlock())))

    expect(text).toContain('灾难恢复演练报告')
    expect(text).toContain('icu.vital_sign')
    expect(text.replaceAll(/\s/g, '')).toContain(DIGEST)
    expect(text.replaceAll(' ', '')).toContain('第2页·共3页')
  })

  it('opens no file but the fonts, and nothing of the network', async () => {
    const image = (source: string) => documentOf([{ image: source } as unknown as PdfNode])

    await expect(renderPdf(image(new URL(import.meta.url).pathname))).rejects.toThrow()
    await expect(renderPdf(image('https://127.0.0.1:1/x.png'))).rejects.toThrow()
  })

  it.skipIf(!hasPdfText)(
    'repeats the head of a table on every page and leaves no heading alone at the foot of one',
    async () => {
      const rows = Array.from({ length: 90 }, (_, row) => [`row ${row}`, String(row)])
      const content = [
        dataTable(
          [
            { title: 'HEAD', width: '*' },
            { title: 'n', align: 'right' },
          ],
          rows,
        ),
      ]
      for (let index = 0; index < 25; index += 1) content.push(heading(`Heading ${index}`), paragraph(`Text ${index}`))
      const text = pdfText(await renderPdf(documentOf(content)))

      const pages = text.split('\f').filter((page) => page.trim() !== '')
      expect(pages.filter((page) => page.includes('HEAD')).length).toBeGreaterThan(2)
      for (let index = 0; index < 25; index += 1) {
        const page = pages.find((each) => each.includes(`Heading ${index}\n`))!
        expect(page).toContain(`Text ${index}\n`)
      }
    },
  )

  it.skipIf(!hasPdfText)('leaves no heading alone above a table whose first row goes to the next page', async () => {
    const content = Array.from({ length: 40 }, (_, index) => [
      paragraph(Array.from({ length: index % 5 }, () => 'a line').join('\n')),
      heading(`Heading ${index}`),
      dataTable([{ title: 'HEAD', width: '*' }], [[`Row ${index}\nof\nsix\nlines\nin\nall`], ['another']]),
    ]).flat()
    const text = pdfText(await renderPdf(documentOf(content)))

    const pages = text.split('\f')
    const apart = Array.from({ length: 40 }, (_, index) => index).filter(
      (index) => !pages.find((each) => each.includes(`Heading ${index}\n`))!.includes(`Row ${index}\n`),
    )
    expect(apart).toEqual([])
  })
})

describe('figures of a report', () => {
  it('are written the same on every machine', () => {
    expect(formatInstant(Date.UTC(2026, 10, 23, 16, 5, 9, 120), CHINA)).toBe('2026-11-24 00:05:09.120 +08:00')
    expect([840, 12_300, 245_000, 7_800_000].map((ms) => formatSpan(ms, 'en'))).toEqual([
      '0.84 s',
      '12.3 s',
      '4 min 05 s',
      '2 h 10 min',
    ])
    expect(formatSpan(7_800_000, 'zh')).toBe('2 小时 10 分')
    expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual(['0', '999', '1,000', '1,234,567'])
    expect(groupsOfFour('0123456789')).toBe('0123 4567 89')
  })
})

function documentOf(content: readonly PdfNode[]): PdfDocument {
  return {
    language: 'zh',
    title: '灾难恢复演练报告',
    number: 'DR-1',
    organisation: 'ICU',
    createdAtMs: Date.UTC(2026, 10, 23),
    jsonSha256: DIGEST,
    content,
  }
}

function everyBlock(): PdfNode[] {
  return [
    cover({ title: '灾难恢复演练报告', subtitle: 'Drill', organisation: '医院', facts: [['编号', 'DR-1']] }),
    heading('一、结论'),
    callout('good', '通过', ['两行']),
    keyValues([['甲', '1']], 2),
    timeline([{ label: 'T0', time: '00:00', title: '故障', elapsed: '0 s' }]),
    dataTable([{ title: '表' }, { title: '行', align: 'right' }], [['icu.vital_sign', '1']], ['合计', '1']),
    digest('SHA-256', DIGEST),
    { ...qr(DIGEST), pageBreak: 'before' },
    signatures([{ role: '负责人', withSeal: true }], 'zh'),
  ]
}
