/** What is said of keys, of this machine, and of the store. */
import type { Check, Topic } from '../check.ts'
import { above, below } from './above.ts'

export const machineChecks = {
  'wrapper-single': {
    severity: 'error',
    en: {
      title: 'One secret alone opens the repository',
      meaning: 'When it is lost, every backup is lost.',
    },
    zh: { title: '只有一种方式能打开备份库', meaning: '一旦遗失，全部备份都无法读取。' },
    run: ['chartkeep wrapper add --recovery-sheet sheet.txt', 'chartkeep wrapper list'],
  },
  'wrapper-damaged': {
    severity: 'error',
    en: { title: 'A key wrapper is damaged', meaning: 'Its secret opens nothing any more.' },
    zh: { title: '密钥封装对象受损', meaning: '对应的口令或密钥文件已无法打开备份库。' },
    run: ['chartkeep wrapper add --recovery-sheet sheet.txt', 'chartkeep check'],
  },
  'recovery-sheet-missing': {
    severity: 'warning',
    en: {
      title: 'There is no recovery sheet',
      meaning: 'When the people who know the passphrase are gone, there is no paper to go back to.',
    },
    zh: { title: '没有恢复单', meaning: '知道口令的人离开后，没有纸质凭据可用。' },
    run: ['chartkeep wrapper add --recovery-sheet sheet.txt'],
  },
  'recovery-sheet-in-use': {
    severity: 'warning',
    en: {
      title: 'The recovery sheet is used every day',
      meaning: 'It belongs into a safe. Add a passphrase, and take the file off this machine.',
    },
    zh: { title: '日常正在使用恢复单', meaning: '恢复单应锁在保险柜里。请增加口令，并从本机删除该文件。' },
    run: ['chartkeep wrapper add --passphrase-file FILE'],
  },
  'secret-in-environment': {
    severity: 'notice',
    en: {
      title: 'The passphrase stands in the environment',
      meaning: 'Everything that this account starts can read it. A file with mode 600 is better.',
    },
    zh: { title: '口令写在环境变量里', meaning: '同一账户启动的程序都能读到；建议改用权限 600 的文件。' },
    run: ['chmod 600 FILE'],
  },
  'secret-file-rights': {
    severity: 'error',
    en: { title: 'Others may read a file with a secret', meaning: 'Whoever has an account here has the secret.' },
    zh: { title: '机密文件可被其他用户读取', meaning: '本机任何账户都能拿到该机密。' },
    run: ['chmod 600 FILE'],
  },
  'signer-agent-missing': {
    severity: 'error',
    en: {
      title: 'No agent may sign snapshots',
      meaning: 'Every agent key was revoked: the next backup fails at its end.',
    },
    zh: { title: '没有可用的代理签名密钥', meaning: '所有代理密钥都已吊销，下一次备份会在最后失败。' },
    run: ['chartkeep key create --role agent --name NAME', 'chartkeep key list'],
  },
  'signer-approver-missing': {
    severity: 'warning',
    en: {
      title: 'Nobody can approve a restore',
      meaning: 'Two people are wanted, and no approver has a key: only an emergency would go ahead.',
    },
    zh: { title: '没有可以批准恢复的人', meaning: '要求双人批准，但没有批准人密钥：只能按紧急情况执行。' },
    run: ['chartkeep key create --role approver --name NAME --out FILE'],
  },
  'store-read-only': {
    severity: 'error',
    en: { title: 'This account may not write to the store', meaning: 'Nothing can be backed up.' },
    zh: { title: '当前账户无法写入存储', meaning: '无法备份。' },
    run: ['chartkeep store probe'],
  },
  'store-space': {
    severity: below('storeFreeBytes', 'warning'),
    en: {
      title: "The store's disk is nearly full",
      meaning: 'A backup that finds no room fails; capture stands still, and the server keeps its log for us.',
    },
    zh: { title: '存储磁盘即将写满', meaning: '空间不足时备份失败、捕获停顿，服务器会为我们堆积日志。' },
    run: ['df -h'],
  },
  'store-expires': {
    severity: 'error',
    en: {
      title: 'The store itself removes what is old',
      meaning: 'A lifecycle rule knows nothing of snapshots: it deletes packs that the newest one needs (F16).',
    },
    zh: { title: '存储桶有自动删除规则', meaning: '生命周期规则不了解快照，会删除最新快照仍需要的数据。' },
    run: ['chartkeep check', 'chartkeep store probe'],
  },
  'store-without-versions': {
    severity: 'notice',
    en: {
      title: 'The store keeps no versions',
      meaning: 'Whoever has the credentials can delete the backups for good.',
    },
    zh: { title: '存储不保留历史版本', meaning: '持有凭据的人可以彻底删除备份。' },
    run: ['chartkeep store probe'],
  },
  'clock-store': {
    severity: above('clockSkewSeconds', 'warning', { times: 150, severity: 'error' }),
    en: {
      title: "This machine's clock and the store's differ",
      meaning: 'Beyond some minutes a store refuses signed requests, and retention counts other days than we do.',
    },
    zh: { title: '本机时钟与存储时钟不一致', meaning: '相差数分钟以上，存储会拒绝签名请求，保留期也会算错。' },
    run: ['timedatectl status'],
  },
  'spill-space': {
    severity: 'warning',
    en: {
      title: 'The temporary directory has little room',
      meaning: 'Sorting the largest table and waiting for large transactions both need it.',
    },
    zh: { title: '临时目录空间不足', meaning: '排序最大的表和暂存大事务都需要它。' },
    run: ['df -h'],
  },
} as const satisfies Partial<Record<Topic, Check>>
