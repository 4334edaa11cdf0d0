/** The certificate on paper, in Chinese and in English: each names the SHA-256 of the data that it shows. */
import type { Language } from '../../report/language.ts'
import { renderPdf } from '../../report/pdf.ts'
import type { Certificate } from '../document.ts'
import { certificatePages } from './pages.ts'
import { CERTIFICATE_WORDS } from './words.ts'

/** `certificate.zh.pdf`, `certificate.en.pdf`: the same data and languages, the same bytes. */
export async function printCertificate(
  certificate: Certificate,
  sha256: string,
  languages: readonly Language[] = ['zh', 'en'],
): Promise<Map<string, Uint8Array>> {
  const printed = new Map<string, Uint8Array>()
  for (const language of languages) {
    const bytes = await renderPdf({
      language,
      title: CERTIFICATE_WORDS.title[language],
      number: certificate.number,
      organisation: certificate.organisation,
      createdAtMs: Date.parse(certificate.issuedAt),
      jsonSha256: sha256,
      hasCover: true,
      content: certificatePages(certificate, sha256, language),
    })
    printed.set(`certificate.${language}.pdf`, bytes)
  }
  return printed
}
