/**
 * The recovery sheet: a secret of 256 bits on paper that unlocks the repository when every passphrase and key file is
 * lost. Base32 (RFC 4648) in groups of four, one check group a line, so that a person can type it back and a slip is
 * found on the line where it happened.
 */
import { Failure } from '../../errors.ts'
import { sha256 } from './provider.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const LINE_BYTES = 8
const CHECK_LETTERS = 4
/** Many times a sheet with its explanations. */
const SHEET_CHARACTERS_MAX = 64 * 1024
export const RECOVERY_SECRET_BYTES = 32

/** Four lines, each `n  AAAA BBBB CCCC D  CHCK`. */
function formatRecoverySecret(secret: Uint8Array): string[] {
  const lines: string[] = []
  for (let start = 0; start < secret.length; start += LINE_BYTES) {
    const number = start / LINE_BYTES + 1
    const part = secret.subarray(start, start + LINE_BYTES)
    const groups = toBase32(part).match(/.{1,4}/g) ?? []
    lines.push(`${number}  ${groups.join(' ')}  ${checkGroup(number, part)}`)
  }
  return lines
}

/** @throws wrong-key naming the line that was mistyped */
export function parseRecoverySecret(text: string): Uint8Array {
  if (text.length > SHEET_CHARACTERS_MAX) {
    throw new Failure('wrong-key', `a recovery sheet has no ${text.length} characters`, {
      hints: ['Name the file that `chartkeep init` wrote, or one with its four lines.'],
    })
  }
  const secret = Buffer.alloc(RECOVERY_SECRET_BYTES)
  const lineCount = RECOVERY_SECRET_BYTES / LINE_BYTES
  for (let number = 1; number <= lineCount; number += 1) {
    const match = new RegExp(`^[ \\t]*${number}[ \\t]((?:[ \\t]*[A-Za-z2-7])+)[ \\t]*$`, 'm').exec(text)
    const letters = (match?.[1] ?? '').replace(/[ \t]/g, '').toUpperCase()
    const part = fromBase32(letters.slice(0, -CHECK_LETTERS)).subarray(0, LINE_BYTES)
    if (part.length !== LINE_BYTES || letters !== toBase32(part) + checkGroup(number, part)) {
      throw new Failure('wrong-key', `line ${number} of the recovery sheet is missing or mistyped`, {
        hints: ['Compare the line with the paper: letters A to Z and digits 2 to 7 only.'],
      })
    }
    secret.set(part, (number - 1) * LINE_BYTES)
  }
  return secret
}

export interface RecoverySheet {
  readonly repositoryId: string
  readonly repositoryUrl: string
  readonly createdAt: string
  /** With which the ledger's checkpoints are verified (C2SP signed-note). */
  readonly verifierKey: string
  readonly secret: Uint8Array
}

export function renderRecoverySheet(sheet: RecoverySheet): string {
  return [
    'chartkeep recovery sheet                                  chartkeep 恢复密钥单',
    '',
    `repository  ${sheet.repositoryId}`,
    `address     ${sheet.repositoryUrl}`,
    `made        ${sheet.createdAt}`,
    `verifier    ${sheet.verifierKey}`,
    '',
    ...formatRecoverySecret(sheet.secret).map((line) => `    ${line}`),
    '',
    'Whoever holds these four lines and the repository can read every patient in it.',
    'Print this page, seal it, lock it away, and delete this file. Without any passphrase, key file or',
    'this page, the backups cannot be opened by anybody, its makers included.',
    '',
    '凡持有以上四行及该备份库者，可读取其中全部患者数据。请打印、密封、入柜保管，并删除本文件。',
    '若口令、密钥文件与本单全部遗失，任何人（包括软件作者）都无法打开备份。',
    '',
  ].join('\n')
}

function checkGroup(lineNumber: number, part: Uint8Array): string {
  return toBase32(sha256(Buffer.concat([Buffer.from([lineNumber]), part])).subarray(0, 3)).slice(0, 4)
}

function toBase32(bytes: Uint8Array): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  return (bits.match(/.{1,5}/g) ?? []).map((group) => ALPHABET[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')
}

function fromBase32(letters: string): Uint8Array {
  let bits = ''
  for (const letter of letters) {
    const value = ALPHABET.indexOf(letter)
    if (value < 0) return new Uint8Array()
    bits += value.toString(2).padStart(5, '0')
  }
  return Uint8Array.from((bits.match(/.{8}/g) ?? []).map((group) => Number.parseInt(group, 2)))
}
