/**
 * Log sequence numbers of SQL Server as positions of 64 bits, in order and back again (docs/decisions/0022).
 *
 *     binary(10)   log file 32 bits · block 32 bits · record 16 bits          0000002A:00000130:0003
 *     position     log file 24 bits · block 28 bits · record 12 bits          2A00000/130003
 *
 * The virtual log file's number counts up from 1 with each one that is begun; a block is counted in the 512 bytes of its
 * file, so that 28 bits are 128 GB, more than any virtual log file has; a block is at most 60 KB, and no record of the
 * log is so short that 4096 fit into one. A number beyond these bounds is refused by name, never cut.
 */
import { Failure } from '../../../errors.ts'

/** `binary(10)` as 20 hexadecimal digits, capitals: their order as text is that of the log. */
export type CdcLsn = string

const FILE_BITS = 24n
const BLOCK_BITS = 28n
const RECORD_BITS = 12n

/** @throws cannot-capture when a part of it is beyond its bits */
export function packLsn(lsn: CdcLsn): bigint {
  const [file, block, record] = partsOf(lsn)
  if (file >> FILE_BITS !== 0n || block >> BLOCK_BITS !== 0n || record >> RECORD_BITS !== 0n) {
    throw new Failure('cannot-capture', `the log sequence number ${shownLsn(lsn)} does not fit into 64 bits`, {
      hints: ['Changes of this database cannot be followed; `chartkeep backup` reads it in full.'],
    })
  }
  return (file << (BLOCK_BITS + RECORD_BITS)) | (block << RECORD_BITS) | record
}

/** The first number of the log that lies at or behind the position. */
export function unpackLsn(position: bigint): CdcLsn {
  const record = position & ((1n << RECORD_BITS) - 1n)
  const block = (position >> RECORD_BITS) & ((1n << BLOCK_BITS) - 1n)
  const file = position >> (BLOCK_BITS + RECORD_BITS)
  return hex(file, 8) + hex(block, 8) + hex(record, 4)
}

/** Behind the commit record: what commits later lies at or behind it. */
export function behind(lsn: CdcLsn): bigint {
  return packLsn(lsn) + 1n
}

/** As catalog views write it: ten digits for the file at the most, ten for the block, five for the record. */
export function fromDecimal(text: string): CdcLsn {
  const number = BigInt(text)
  return hex(number / 10n ** 15n, 8) + hex((number / 10n ** 5n) % 10n ** 10n, 8) + hex(number % 10n ** 5n, 4)
}

/** As its own tools print it. */
export function shownLsn(lsn: CdcLsn): string {
  return `${lsn.slice(0, 8)}:${lsn.slice(8, 16)}:${lsn.slice(16)}`
}

function partsOf(lsn: CdcLsn): readonly [bigint, bigint, bigint] {
  return [BigInt(`0x${lsn.slice(0, 8)}`), BigInt(`0x${lsn.slice(8, 16)}`), BigInt(`0x${lsn.slice(16)}`)]
}

function hex(number: bigint, digits: number): string {
  return number.toString(16).toUpperCase().padStart(digits, '0')
}
