/** The section on the moment between the snapshots: what was captured, and the database as it was rebuilt from it. */
import { formatBytes, formatCount, formatSeconds } from './format.ts'
import { both, escapeMarkup, paragraph, section, table } from './page-parts.ts'
import type { DemoResult, MomentTable } from './result.ts'

export function isEqualThen({ md5Then, md5Rebuilt }: MomentTable): boolean {
  return md5Then !== '' && md5Then === md5Rebuilt
}

export function momentSection({ moment, capture, second, base }: DemoResult): string {
  const { at, restore, tables } = moment
  const time = escapeMarkup(at.replace('T', ' ').replace('Z', ' UTC'))
  const plan = restore.plan
  const equal = tables.filter(isEqualThen).length
  const lag = capture.lagSecondsMax === null ? '' : formatSeconds(capture.lagSecondsMax)
  const rebuilt = formatSeconds(restore.secondsUsable)
  const segments = formatCount(plan?.log?.segments ?? 0)
  return section(
    'moment',
    { en: 'A moment between the snapshots', zh: '两次备份之间的某一时刻' },
    paragraph({
      en: `Capture followed ${capture.tables} tables: ${formatCount(capture.changes)} changes of ${formatCount(capture.transactions)} transactions, ${formatBytes(capture.textBytes)} of text, each in the repository within ${lag} of its commit. The second snapshot read ${formatBytes(second.bytesRead)} from the database where the base had read ${formatBytes(base.bytesRead)}: everything else was carried on along the changes.`,
      zh: `捕获共跟踪 ${capture.tables} 张表：${formatCount(capture.transactions)} 个事务的 ${formatCount(capture.changes)} 处变更，文本 ${formatBytes(capture.textBytes)}，每处变更在提交后 ${lag} 内进入仓库。第二次备份只从数据库读取 ${formatBytes(second.bytesRead)}（首次为 ${formatBytes(base.bytesRead)}），其余均由变更推进得出。`,
    }),
    paragraph({
      en: `<b>At ${time}, between the snapshots, nobody took a backup.</b> PostgreSQL digested its tables then, and the ward worked on. Afterwards the database was rebuilt as of that moment, from the base and ${segments} segments of the change log, in ${rebuilt}: ${equal} of ${tables.length} tables have the MD5 of then.`,
      zh: `<b>${time}，介于两次备份之间，没有任何备份。</b>当时由 PostgreSQL 计算了各表摘要，随后病区继续工作。事后以首次备份加 ${segments} 个变更日志段按该时刻重建数据库，用时 ${rebuilt}：${tables.length} 张表中 ${equal} 张与当时的 MD5 一致。`,
    }),
    momentTable(tables),
  )
}

function momentTable(tables: readonly MomentTable[]): string {
  const verdict = (each: MomentTable) => {
    if (isEqualThen(each)) return '<span class="good">✓</span>'
    return each.isAsOfSnapshot ? both({ en: 'as of the snapshot before', zh: '为此前快照的内容' }) : '✗'
  }
  return table(
    [
      { title: { en: 'Table', zh: '表' } },
      { title: { en: 'Rows then', zh: '当时行数' }, isNumber: true },
      { title: { en: "PostgreSQL's MD5: then, rebuilt", zh: 'PostgreSQL MD5：当时、重建' } },
      { title: { en: 'Equal', zh: '一致' } },
    ],
    tables.map((each) => [
      escapeMarkup(each.table.replaceAll('"', '')),
      formatCount(each.rows),
      `<code>${each.md5Then.slice(0, 10)} ${each.md5Rebuilt.slice(0, 10)}</code>`,
      verdict(each),
    ]),
  )
}
