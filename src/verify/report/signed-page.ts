/**
 * The frame of a signed report on paper: its head, and behind what it says the digest of its data, who signed them, and
 * the places to sign by hand.
 */
import { digest, heading, note, qr, sideBySide, signatures } from './blocks.ts'
import type { Language, Phrase } from './language.ts'
import { renderPdf } from './pdf.ts'
import type { PdfNode } from './pdf-node.ts'
import type { SignedReport } from './signed-report.ts'
import { titleBlock } from './title-block.ts'
import { WORDS } from './words.ts'

export interface SignedPage {
  readonly title: Phrase
  /** ISO, of the report. */
  readonly writtenAt: string
  readonly content: readonly PdfNode[]
  /** The heading over what is signed. */
  readonly signing: Phrase
  readonly signers: readonly { readonly role: Phrase; readonly withSeal?: boolean }[]
}

interface Headed {
  readonly number: string
  readonly organisation: string
}

/** The same report gives the same file. */
export async function printSigned<Report extends Headed>(
  signed: SignedReport<Report>,
  language: Language,
  page: SignedPage,
): Promise<Uint8Array> {
  const { number, organisation } = signed.report
  return await renderPdf({
    language,
    title: page.title[language],
    number,
    organisation,
    createdAtMs: Date.parse(page.writtenAt),
    jsonSha256: signed.sha256,
    content: [titleBlock(page.title, language, organisation), ...page.content, ...signing(signed, language, page)],
  })
}

function signing<Report>({ sha256, signer }: SignedReport<Report>, language: Language, page: SignedPage): PdfNode[] {
  const agent = `${WORDS.signedBy[language]}: ${signer.name} (${signer.signerId})`
  const facts: PdfNode = { stack: [digest(WORDS.dataFile[language], sha256), note(agent)], width: '*' }
  const places = page.signers.map(({ role, ...place }) => ({ ...place, role: role[language] }))
  return [
    heading(page.signing[language]),
    sideBySide([facts, { ...qr(`sha256:${sha256}`, 80), width: 84 }]),
    signatures(places, language),
  ]
}
