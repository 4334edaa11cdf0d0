/** Why something is not in a backup, or was not rebuilt, as `src/source/postgres` says it. */
import type { Phrase } from './language.ts'

const REASONS: Readonly<Record<string, string>> = {
  'the database computes it again from the other columns': '由数据库依其他列重新计算',
  'rows keep their numbers; their contents are not kept': '行内保留其编号，内容未备份',
  'its rows are in another database': '其行位于另一数据库',
  'a rebuilt database computes it again from the tables': '重建后由数据库依各表重新计算',
  'it belongs to an extension, which makes it without rows': '属于扩展，由扩展建立，不含行',
  'roles belong to the server, not to the database': '角色属于服务器，不属于数据库',
  'ALTER ROLE and ALTER DATABASE settings belong to the server': 'ALTER ROLE、ALTER DATABASE 设置属于服务器',
  'a rebuilt database must not start to replicate by itself': '重建的数据库不得自行开始复制',
  'a slot is a place in the log of one server': '复制槽是某一服务器日志中的位置',
  'rebuilt only by pg_dump, and none that fits the server was found': '仅 pg_dump 可重建，而未找到适配的 pg_dump',
  'tablespaces are directories of one server; the rebuilt object lies in the default one':
    '表空间是某一服务器的目录，重建对象位于默认表空间',
  'rows break it; not made': '现有行不符合，未建立',
  'rows break it; made NOT VALID': '现有行不符合，以 NOT VALID 建立',
  'rows break it; not made: this server has no NOT VALID key here':
    '现有行不符合，该版本服务器此处不支持 NOT VALID，未建立',
  'the key that it refers to was not made': '其引用的键未建立',
  'a role it names does not exist on the target': '其所指角色在目标服务器上不存在',
  'the role that rebuilds may not give it': '执行重建的角色无权授予',
  '{key} was not made': '{key} 未建立',
  'it could not be refreshed ({code})': '未能刷新（{code}）',
}

/** As the catalogs of a snapshot name them. */
const KINDS: Readonly<Record<string, string>> = {
  'generated column': '生成列',
  'large objects': '大对象',
  'foreign table': '外部表',
  'materialized view': '物化视图',
  'extension table': '扩展的表',
  roles: '角色',
  'role or database settings': '角色或数据库设置',
  subscription: '订阅',
  'replication slot': '复制槽',
  tablespace: '表空间',
  'key or index': '键或索引',
  check: '检查约束',
  'owner, grant or policy': '属主、授权或策略',
  'foreign key': '外键',
  // The name that stands for all of them.
  'all roles of the server': '服务器的全部角色',
}

export const NOT_KEPT_SENTENCES: readonly Phrase[] = Object.entries({ ...KINDS, ...REASONS }).map(([en, zh]) => ({
  zh,
  en,
}))
