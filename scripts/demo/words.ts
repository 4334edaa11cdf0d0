/** What the steps are called, in both languages. */
import type { StepName } from './result.ts'

export interface Words {
  readonly en: string
  readonly zh: string
}

export const stepTitles: Readonly<Record<StepName, Words>> = {
  server: { en: 'Start a PostgreSQL server', zh: '启动 PostgreSQL 服务器' },
  database: { en: 'Make an ICU database', zh: '建立重症监护数据库' },
  role: { en: 'What the administrator runs once', zh: '管理员执行一次的授权脚本' },
  discover: { en: 'Draft the configuration', zh: '生成配置草稿' },
  init: { en: 'Make the repository', zh: '建立加密仓库' },
  capture: { en: 'Begin to follow every change', zh: '开始持续捕获变更' },
  base: { en: 'Back up while the ward works', zh: '病区工作中完成首次备份' },
  checkpoint: { en: 'Take a signed checkpoint out of the house', zh: '取出签名检查点，另行保管' },
  ward: { en: 'The ward works on', zh: '病区继续工作' },
  moment: { en: 'Note a moment at which nobody takes a backup', zh: '记下一个没有备份的时刻' },
  'ward-on': { en: 'The ward works on again', zh: '病区再次继续工作' },
  second: { en: 'Back up again', zh: '再次备份' },
  status: { en: 'Ask how well the source is protected', zh: '查看当前保护状况' },
  stop: { en: 'Stop following', zh: '停止捕获' },
  snapshots: { en: 'List the snapshots', zh: '列出快照' },
  check: { en: 'Check the structure', zh: '检查结构' },
  scrub: { en: 'Read and digest every byte', zh: '逐字节读取并校验' },
  compare: { en: 'Compare with the live database', zh: '与运行中的数据库比对' },
  restore: { en: 'Rebuild the database elsewhere', zh: '在另一个数据库中重建' },
  prove: { en: 'Prove it, with and without chartkeep', zh: '独立证明重建结果' },
  'restore-moment': { en: 'Rebuild the database as of that moment', zh: '按该时刻重建数据库' },
  'prove-moment': { en: 'Prove it, by PostgreSQL alone', zh: '仅由 PostgreSQL 独立证明' },
  explain: { en: 'Say what accounts for changes', zh: '说明变更的依据' },
  certificate: { en: 'Issue the certificate', zh: '出具数据完整性核验证明' },
  'certificate-verify': { en: 'Verify it with nothing but Node', zh: '仅用 Node 独立核验证明' },
  writer: { en: 'A role of its own that may write', zh: '单独的写入角色' },
  approver: { en: 'An approver with a key of her own', zh: '审批人及其密钥' },
  accident: { en: 'An accident: a shift deleted, orders overwritten', zh: '事故：一个班次被误删，医嘱被覆盖' },
  timeline: { en: 'Find the accident in what happened to the patient', zh: '在患者时间线中找到事故' },
  'patient-plan': { en: 'Plan the repair of that one patient', zh: '为该患者生成恢复方案' },
  'patient-approve': { en: 'Another person approves it', zh: '由另一人审批' },
  'patient-apply': { en: 'Put the patient back', zh: '恢复该患者' },
  'patient-prove': { en: 'Prove it, by PostgreSQL alone', zh: '仅由 PostgreSQL 独立证明' },
  'patient-undo': { en: 'Plan the opposite', zh: '生成撤销方案' },
  'undo-approve': { en: 'Another person approves that, too', zh: '撤销同样由另一人审批' },
  'undo-apply': { en: 'Take it back', zh: '撤销恢复' },
  'again-plan': { en: 'Plan the repair once more', zh: '再次生成恢复方案' },
  'again-approve': { en: 'Approved once more', zh: '再次由另一人审批' },
  'again-apply': { en: 'Put the patient back for good', zh: '再次恢复该患者' },
  ledger: { en: 'Prove that history was not rewritten', zh: '证明历史未被改写' },
  show: { en: 'Ask what is not held', zh: '查看未纳入备份的内容' },
}
