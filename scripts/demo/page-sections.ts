/** The sections of the page, each from what was measured. */
import { formatBytes, formatCount, formatSeconds, formatShare, shortDigest } from './format.ts'
import { bars, both, escapeMarkup, paragraph, section, table } from './page-parts.ts'
import type { DemoResult, Shift, Step, StepName, TableResult } from './result.ts'
import { isEqual } from './tables.ts'
import { stepTitles } from './words.ts'

export function verdict({ tables, restore, check, scrub, compare }: DemoResult): string {
  const equal = tables.filter(isEqual).length
  const rows = formatCount(restore.rows)
  const looks = check.findings.length + scrub.findings.length + compare.findings.length
  return `<section class="verdict">${paragraph({
    en: `<b>${equal} of ${tables.length} tables, ${rows} rows: the rebuilt database is the one that was backed up.</b> Every root was computed anew from the rebuilt rows, and PostgreSQL, asked by itself, finds the same MD5 over every table of both databases. Check, scrub and compare passed with ${looks} findings.`,
    zh: `<b>${tables.length} 张表中 ${equal} 张、共 ${rows} 行：重建的数据库与备份时的数据库完全一致。</b>每张表的根摘要均由重建后的行重新计算；另由 PostgreSQL 自行计算的两库各表 MD5 也全部相同。结构检查、逐字节校验、实时比对均通过，发现问题 ${looks} 项。`,
  })}</section>`
}

export function tiles(result: DemoResult): string {
  const { base, second, restore, moment } = result
  const share = formatShare(second.bytesStored, base.bytesStored)
  const items: readonly (readonly [string, string, string])[] = [
    [formatCount(second.rows), `rows in ${second.tables} tables`, `行，${second.tables} 张表`],
    [formatSeconds(base.seconds), 'for the base, while the ward works', '首次备份耗时，病区同时工作'],
    [
      formatBytes(base.bytesStored),
      `stored by the base, of ${formatBytes(base.bytesRead)} read`,
      `首次备份写入（读取 ${formatBytes(base.bytesRead)}）`,
    ],
    [
      formatBytes(second.bytesStored),
      `stored by the second snapshot: ${share} of the base`,
      `第二次备份写入：首次的 ${share}`,
    ],
    [
      formatSeconds(moment.restore.secondsUsable),
      'until the database of a moment between them was usable',
      '重建两次备份之间某一时刻至可用',
    ],
    [formatSeconds(restore.secondsUsable), 'until the rebuilt database was usable', '重建至可用'],
    [formatSeconds(restore.secondsProof), 'more, until it was proved', '随后完成逐表证明'],
  ]
  return `<div class="tiles">${items.map(([value, en, zh]) => `<div class="tile"><b>${escapeMarkup(value)}</b>${both({ en, zh })}</div>`).join('\n')}</div>`
}

/** What only prepares or looks on from outside stands back. */
const ASIDE: readonly StepName[] = [
  'server',
  'database',
  'ward',
  'moment',
  'ward-on',
  'prove-moment',
  'prove',
  'explain',
]

export function timeLine({ steps, shifts, seconds }: DemoResult): string {
  const place = (start: number, length: number) =>
    `left:${((100 * start) / seconds).toFixed(2)}%;width:${((100 * length) / seconds).toFixed(2)}%`
  const line = (label: string, piece: string, length: number) =>
    `<div class="row"><span>${label}</span><span class="track">${piece}</span><span class="number">${formatSeconds(length)}</span></div>`
  const ward = [shifts.base, shifts.before, shifts.behind]
  const wardPieces = ward
    .map((shift) => `<i class="ward" style="${place(shift.startSeconds, lengthOf(shift))}"></i>`)
    .join('')
  const stepLine = (step: Step) => {
    const tone = ASIDE.includes(step.name) ? 'aside' : ''
    return line(
      both(stepTitles[step.name]),
      `<i class="${tone}" style="${place(step.startSeconds, step.seconds)}"></i>`,
      step.seconds,
    )
  }
  const wardSeconds = ward.reduce((sum, shift) => sum + lengthOf(shift), 0)
  return section(
    'time',
    { en: 'What happened', zh: '过程' },
    paragraph({
      en: `The ward committed ${formatCount(shifts.base.report.actions)} transactions while the base was read, and ${formatCount(shifts.before.report.actions + shifts.behind.report.actions)} before the second snapshot, with a pause amid them. Then it paused again, so that everything after could be compared row for row.`,
      zh: `首次备份读取期间，病区提交了 ${formatCount(shifts.base.report.actions)} 个事务；两次备份之间又提交了 ${formatCount(shifts.before.report.actions + shifts.behind.report.actions)} 个，其间暂停一次。随后病区再次暂停，以便逐行比对。`,
    }),
    `<div class="timeline">${line(`<b>${both({ en: 'The ward at work', zh: '病区工作时段' })}</b>`, wardPieces, wardSeconds)}\n${steps.map(stepLine).join('\n')}</div>`,
    paragraph(
      {
        en: 'Each command starts a process of its own; its start is part of its time.',
        zh: '每条命令都是独立进程，时间包含进程启动。',
      },
      'soft',
    ),
  )
}

export function sizes({ base, second, databaseBytes, repositoryBytes }: DemoResult): string {
  const item = (en: string, zh: string, amount: number, tone: 'plain' | 'strong') => ({
    label: { en, zh },
    amount,
    value: formatBytes(amount),
    tone,
  })
  return section(
    'sizes',
    { en: 'Sizes', zh: '大小' },
    bars([
      item('The database on disk, with indexes', '数据库占用磁盘（含索引）', databaseBytes, 'plain'),
      item('Text of all rows, as the base read it', '首次备份读取的行文本', base.bytesRead, 'plain'),
      item('Stored by the base', '首次备份写入', base.bytesStored, 'strong'),
      item('Stored by the second snapshot', '第二次备份写入', second.bytesStored, 'strong'),
      item('The repository on disk, all of it', '仓库占用磁盘（全部）', repositoryBytes, 'strong'),
    ]),
    paragraph({
      en: `The second snapshot read ${formatBytes(second.bytesRead)} again, of tables without a primary key, and took everything else from the captured changes. It stored ${formatCount(second.leavesStored)} leaves and shares ${formatCount(second.leavesReused)} with the first. Everything in the repository is encrypted.`,
      zh: `第二次备份只重新读取了无主键的表（${formatBytes(second.bytesRead)}），其余取自捕获的变更；写入 ${formatCount(second.leavesStored)} 个叶块，与首次共用 ${formatCount(second.leavesReused)} 个。仓库内容全部加密。`,
    }),
  )
}

export function tablesSection({ tables }: DemoResult): string {
  const sign = (change: number) => (change === 0 ? '' : `${change > 0 ? '+' : '−'}${formatCount(Math.abs(change))}`)
  const row = (each: TableResult) => [
    escapeMarkup(each.name),
    escapeMarkup(each.category),
    formatCount(each.rowsBase),
    sign(each.rowsSecond - each.rowsBase) || (each.changed ? both({ en: 'changed', zh: '有修改' }) : ''),
    formatCount(each.rowsSecond),
    formatCount(each.rowsRebuilt),
    `<code>${shortDigest(each.rootSnapshot)} ${shortDigest(each.rootRebuilt ?? '')}</code>`,
    `<code>${shortDigest(each.md5Source)} ${shortDigest(each.md5Rebuilt)}</code>`,
    isEqual(each) ? '<span class="good">✓</span>' : '✗',
  ]
  return section(
    'tables',
    { en: 'Table by table', zh: '逐表结果' },
    paragraph({
      en: "Rows and roots of the snapshot beside those of the rebuilt database, and PostgreSQL's own digests of both databases. Digests are cut short here; <code>results/demo.json</code> has them whole.",
      zh: '快照与重建数据库的行数、根摘要对照，以及 PostgreSQL 对两库各自计算的摘要。此处摘要为缩写，完整值见 <code>results/demo.json</code>。',
    }),
    table(
      [
        { title: { en: 'Table', zh: '表' } },
        { title: { en: 'Category', zh: '类别' } },
        { title: { en: 'Rows, base', zh: '首次行数' }, isNumber: true },
        { title: { en: 'Since', zh: '变化' }, isNumber: true },
        { title: { en: 'Rows, second', zh: '第二次行数' }, isNumber: true },
        { title: { en: 'Rows, rebuilt', zh: '重建行数' }, isNumber: true },
        { title: { en: 'Roots: snapshot, rebuilt', zh: '根摘要：快照、重建' } },
        { title: { en: "PostgreSQL's MD5: source, rebuilt", zh: 'PostgreSQL MD5：源、重建' } },
        { title: { en: 'Equal', zh: '一致' } },
      ],
      tables.map(row),
    ),
  )
}

export function patientSection({ patient }: DemoResult): string {
  const { inserted, updated, seconds } = patient
  const took = formatSeconds(seconds)
  return section(
    'patient',
    { en: 'One patient, after an accident', zh: '事故后的单个患者' },
    paragraph({
      en: `A shift’s nursing records of one patient were deleted and the orders overwritten. A plan named each row, another person approved it, and it was carried out in the live database in ${took}: ${inserted} rows put back, ${updated} set back, all read back in the same transaction. By PostgreSQL’s own MD5 both tables were then as before the accident; afterwards the repair was taken back, and they were as the accident had left them. The plan, as a doctor reads it, is <code>plan.html</code>.`,
      zh: `某患者一个班次的护理记录被误删，医嘱被覆盖。恢复方案逐行列明，经另一人审批后在运行中的数据库内执行，用时 ${took}：补回 ${inserted} 行，还原 ${updated} 行，并在同一事务中逐行读回核对。随后由 PostgreSQL 自身的 MD5 证明两张表与事故前一致；之后撤销恢复，两张表又与事故后一致。医生所见的恢复方案见 <code>plan.html</code>。`,
    }),
  )
}

export function notHeldSection({ notHeld }: DemoResult): string {
  return section(
    'not-held',
    { en: 'What is not held', zh: '未纳入备份的内容' },
    paragraph({
      en: 'As the manifest of the second snapshot lists it. A backup that does not say this would be believed too much.',
      zh: '以下为第二次快照清单所列。备份若不说明这些，就会被过度信任。',
    }),
    table(
      [
        { title: { en: 'Kind', zh: '种类' } },
        { title: { en: 'Name', zh: '名称' } },
        { title: { en: 'Why', zh: '原因' } },
      ],
      notHeld.map(({ kind, name, reason }) => [
        escapeMarkup(kind),
        `<code>${escapeMarkup(name)}</code>`,
        escapeMarkup(reason),
      ]),
    ),
  )
}

export function ledgerSection({ checkpoint, ledgerVerdict }: DemoResult): string {
  return section(
    'ledger',
    { en: 'A history that cannot be rewritten', zh: '不可改写的历史' },
    paragraph({
      en: 'This signed note was taken out after the base. Whoever keeps it can have it proved later that no snapshot before it was planted, removed, reordered or rolled back:',
      zh: '以下签名检查点在首次备份后取出。持有者日后可据此证明：此前的快照没有被伪造、删除、调换或回退：',
    }),
    `<pre>${escapeMarkup(checkpoint.trim())}</pre>`,
    paragraph({
      en: 'And after the second snapshot <code>ledger verify</code> said:',
      zh: '第二次备份后，<code>ledger verify</code> 的结论：',
    }),
    `<pre>${escapeMarkup(ledgerVerdict)}</pre>`,
  )
}

export function commandsSection({ steps }: DemoResult): string {
  const typed = steps.filter((step) => step.command !== null)
  const one = ({ name, command, output, seconds }: Step) =>
    `<details><summary><code>$ ${escapeMarkup(command ?? '')}</code> <span class="soft">${both(stepTitles[name])}, ${formatSeconds(seconds)}</span></summary>${output ? `<pre>${escapeMarkup(output)}</pre>` : ''}</details>`
  return section(
    'commands',
    { en: 'The commands, as typed', zh: '所执行的命令' },
    paragraph({
      en: '<code>chartkeep</code> stands for <code>npm run -s chartkeep --</code>. The password came from <code>PGPASSWORD</code>, the passphrase from <code>CHARTKEEP_PASSPHRASE_FILE</code>.',
      zh: '<code>chartkeep</code> 即 <code>npm run -s chartkeep --</code>。数据库口令来自 <code>PGPASSWORD</code>，仓库口令来自 <code>CHARTKEEP_PASSPHRASE_FILE</code>。',
    }),
    typed.map(one).join('\n'),
  )
}

export function limits(): string {
  return section(
    'limits',
    { en: 'What this does not show', zh: '本演示未展示的内容' },
    paragraph({
      en: 'The patients are invented, the database is small, everything ran on one machine, and the server ran without <code>fsync</code>: times here say little about a hospital. Row texts repeat more than real notes do, so the repository of real data is larger in proportion. The passphrase and the recovery sheet lie beside the repository only because nothing here is worth protecting: at home they never do.',
      zh: '患者均为虚构，数据量很小，全部在一台机器上运行，且数据库关闭了 <code>fsync</code>，因此这里的时间不代表医院环境。虚构文本的重复度高于真实病历，真实数据的仓库占比会更大。口令与恢复单放在仓库旁，只因此处没有需要保护的内容；实际使用时绝不可如此。',
    }),
    paragraph({
      en: 'Not shown here: drills, the service with its alarms, the API.',
      zh: '未在此展示：恢复演练、常驻服务及其告警、API。',
    }),
  )
}

function lengthOf({ startSeconds, endSeconds }: Shift): number {
  return endSeconds - startSeconds
}
