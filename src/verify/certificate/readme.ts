/** The page of a package that tells an auditor how to check by hand, in Chinese and in English. */
import { formatOffset } from '../report/language.ts'
import type { Certificate } from './document.ts'

export function handVerification(certificate: Certificate, certificateSha256: string): string {
  const { number, ledger, end } = certificate
  const offset = formatOffset({ offsetMinutes: certificate.rules.utcOffsetMinutes })
  return `# 验证说明 / How to verify

证明编号 / Certificate: ${number}
certificate.json SHA-256: ${certificateSha256}
截止快照 / End: ${end.snapshotId} (${end.takenAt})

## 1. 一条命令 / One command

    node verify.mjs

需要 Node.js 20 或以上，不联网，不需要其他软件。显示 verified 且退出码为 0 即通过；否则说明错误之处，退出码为 1。
Needs Node.js 20 or later, no network, nothing else. It says \`verified\` and exits with 0, or says what is wrong and exits with 1.

verify.mjs 本身也可能被替换：请从医院保存的副本运行，或将其 SHA-256 与已签字的纸质证明比对。
verify.mjs itself may have been exchanged: run a copy that you kept, or compare its SHA-256 with that of another certificate.

密钥请与恢复单、已签字的纸质件比对后以参数给出 / Give the keys as they stand on paper:

    node verify.mjs --ledger '${ledger.verifierKey}'

## 2. 不用程序 / Without any program of ours

文件未被改动 / no file was changed:

    sha256sum -c SHA256SUMS

PDF 与数据一致：PDF 每页页脚及文档属性中的摘要，应等于下式结果。
The PDF belongs to the data: the digest beneath its pages, and among its properties, is this one:

    sha256sum certificate.json

台账逐条相连：proofs/ledger-end.json 中的 entry 即快照清单摘要；清单本身为 proofs/manifest-end.json 的 manifest 成员。
The entry in proofs/ledger-end.json names the SHA-256 of the \`manifest\` member of proofs/manifest-end.json, in canonical form:

    node -e 'const f=JSON.parse(require("fs").readFileSync("proofs/manifest-end.json"));const c=v=>Array.isArray(v)?"["+v.map(c).join(",")+"]":v&&typeof v==="object"?"{"+Object.keys(v).sort().map(k=>JSON.stringify(k)+":"+c(v[k])).join(",")+"}":JSON.stringify(v);require("fs").writeSync(1,c(f.manifest))' | sha256sum

## 3. 用 psql 核对行数 / Counting rows with psql

在恢复出来的副本上执行（生产库此后仍在变化）；结果应等于 tables.csv 中该表该月的 now。
On a restored copy (production has gone on since). The count must be \`now\` of that table and month in tables.csv:

    psql -c "SET TIME ZONE INTERVAL '${offset}' HOUR TO MINUTE" -c ${shellQuoted(countingSql(certificate))}

每一行都应满足 / every line of tables.csv closes:

    now = baseline + inserted - deleted + movedIn - movedOut

## 4. 抽样可重复 / The samples can be drawn again

抽样种子 / seed: ${JSON.stringify(certificate.sampleSeed)}
第 i 个数 = HMAC-SHA-256(种子, 名称 + 换行 + i) 的前 8 字节（大端）对总体取模；重复的与超出整倍数的跳过。
Number i is the first 8 bytes (big-endian) of HMAC-SHA-256(seed, name + newline + i), modulo the population; repeated ones, and
those above the largest multiple of the population, are passed over:

    printf 'look-up\\n0' | openssl dgst -sha256 -hmac ${shellQuoted(certificate.sampleSeed)}

## 5. 单个患者 / One patient

\`chartkeep certificate prove-patient\` 生成的目录只含该患者的行，用同一个 verify.mjs 核验。手工核对一组行：
A directory made by \`chartkeep certificate prove-patient\` holds that patient's rows alone and is verified by the same file. By hand, a
group of rows (bytes [start, end) of its file, \`salt\` from patient.json) has the digest

    { printf '\\000'; printf %s SALT | xxd -r -p; tail -c +$((START + 1)) rows/001.copy | head -c $((END - START)); } | sha256sum

局限 / Limits: 本证明确认数据自基线以来的一致性，不对录入时的真实性、准确性作出保证。
It shows that data did not change since the baseline, and not that they were true when they were entered.
`
}

/** Of the largest line that has a month, or of the largest table. */
function countingSql({ balance, tables }: Certificate): string {
  const clockOf = (name: string) => tables.find(({ countedAs }) => countedAs === name)?.clock ?? null
  const largest = [...balance].sort((a, b) => b.now - a.now)
  const dated = largest.find(({ table, month }) => /^\d{4}-\d\d$/.test(month) && clockOf(table) !== null)
  if (!dated) return `SELECT count(*) FROM ${largest[0]?.table ?? 'schema.table'}`
  const clock = `"${clockOf(dated.table)!.replaceAll('"', '""')}"`
  return `SELECT count(*) FROM ${dated.table} WHERE to_char(${clock}, 'YYYY-MM') = '${dated.month}'`
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
