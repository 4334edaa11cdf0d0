/** Fields of COPY lines, as they stand there: escapes and all. */
import type { RowEdit } from './row-contract.ts'

const TAB = 0x09
const NULL_FIELD = Buffer.from('\\N')

export function splitLine(line: Buffer): Buffer[] {
  const fields: Buffer[] = []
  let start = 0
  for (let end = line.indexOf(TAB); end >= 0; end = line.indexOf(TAB, start)) {
    fields.push(line.subarray(start, end))
    start = end + 1
  }
  fields.push(line.subarray(start))
  return fields
}

export function isNull(field: Buffer): boolean {
  return field.length === 2 && field[0] === NULL_FIELD[0] && field[1] === NULL_FIELD[1]
}

/** Numbers of the fields that an update makes others. */
export function differingColumns({ present, future }: RowEdit): number[] {
  const before = splitLine(present!)
  return splitLine(future!).flatMap((field, index) => (field.equals(before[index]!) ? [] : [index]))
}
