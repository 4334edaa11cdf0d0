/** Values at the ends of each type as literals of Transact-SQL, and the text of their field as Microsoft's pages give it. */
export interface TypeCase {
  readonly type: string
  readonly values: readonly string[]
  readonly text: readonly string[]
}

const NINES = '9'.repeat(38)

export const EVERY_TYPE: readonly TypeCase[] = [
  { type: 'bit', values: ['0', '1', 'NULL'], text: ['0', '1', '\\N'] },
  { type: 'tinyint', values: ['0', '255'], text: ['0', '255'] },
  { type: 'smallint', values: ['-32768', '32767'], text: ['-32768', '32767'] },
  { type: 'int', values: ['-2147483648', '2147483647'], text: ['-2147483648', '2147483647'] },
  {
    type: 'bigint',
    values: ['-9223372036854775808', '9223372036854775807'],
    text: ['-9223372036854775808', '9223372036854775807'],
  },
  { type: 'decimal(38,0)', values: [NINES, `-${NINES}`], text: [NINES, `-${NINES}`] },
  {
    type: 'decimal(38,10)',
    values: ['1234567890123456789012345678.0123456789', '0.0000000001'],
    text: ['1234567890123456789012345678.0123456789', '0.0000000001'],
  },
  {
    type: 'money',
    values: ['-922337203685477.5808', '922337203685477.5807'],
    text: ['-922337203685477.5808', '922337203685477.5807'],
  },
  { type: 'smallmoney', values: ['-214748.3648', '214748.3647'], text: ['-214748.3648', '214748.3647'] },
  {
    type: 'float',
    values: ['0.1', '-1.7976931348623157E+308', '2.2250738585072014E-308'],
    text: ['1.0000000000000001e-001', '-1.7976931348623157e+308', '2.2250738585072014e-308'],
  },
  { type: 'real', values: ['0.1', '3.4028235E+38'], text: ['1.00000001e-001', '3.40282347e+038'] },
  { type: 'date', values: ["'00010101'", "'99991231'"], text: ['0001-01-01', '9999-12-31'] },
  { type: 'time(0)', values: ["'23:59:59'"], text: ['23:59:59'] },
  { type: 'time(7)', values: ["'23:59:59.9999999'", "'00:00:00'"], text: ['23:59:59.9999999', '00:00:00.0000000'] },
  {
    type: 'datetime',
    values: ["'17530101'", "'9999-12-31T23:59:59.997'"],
    text: ['1753-01-01 00:00:00.000', '9999-12-31 23:59:59.997'],
  },
  { type: 'smalldatetime', values: ["'2079-06-06T23:59:00'"], text: ['2079-06-06 23:59:00'] },
  {
    type: 'datetime2(7)',
    values: ["'0001-01-01T00:00:00.0000001'", "'9999-12-31T23:59:59.9999999'"],
    text: ['0001-01-01 00:00:00.0000001', '9999-12-31 23:59:59.9999999'],
  },
  {
    type: 'datetimeoffset(7)',
    values: ["'2026-03-01T10:15:00.1234567+08:00'", "'2026-03-01T10:15:00-14:00'"],
    text: ['2026-03-01 10:15:00.1234567 +08:00', '2026-03-01 10:15:00.0000000 -14:00'],
  },
  {
    type: 'uniqueidentifier',
    values: ["'6f9619ff-8b86-d011-b42d-00c04fc964ff'"],
    text: ['6F9619FF-8B86-D011-B42D-00C04FC964FF'],
  },
  {
    type: 'nvarchar(max)',
    values: ["N''", 'NULL', "N'trailing  '", "N'😀中'", "N'a' + NCHAR(9) + N'b' + NCHAR(10) + N'\\'"],
    text: ['', '\\N', 'trailing  ', '😀中', 'a\\tb\\n\\\\'],
  },
  { type: 'nchar(4)', values: ["N'ab'"], text: ['ab  '] },
  { type: 'varchar(20)', values: ["'plain '", "''"], text: ['plain ', ''] },
  { type: 'text', values: ["'old '", 'NULL'], text: ['old ', '\\N'] },
  { type: 'ntext', values: ["N'旧'"], text: ['旧'] },
  { type: 'xml', values: ["N'<a> <b/> </a>'"], text: ['<a><b/></a>'] },
  { type: 'varbinary(max)', values: ['0x00FFAB', '0x'], text: ['0x00FFAB', '0x'] },
  { type: 'binary(4)', values: ['0x01'], text: ['0x01000000'] },
  { type: 'image', values: ['0x0102'], text: ['0x0102'] },
]
