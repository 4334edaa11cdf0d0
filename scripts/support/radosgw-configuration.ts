/**
 * The two files that a Ceph of one machine needs: its settings, and keys made for the moment.
 *
 * One copy of everything, small pools, no waiting for quorum, no limits on a nearly full disk (objects are in memory).
 */
import { randomBytes } from 'node:crypto'

export interface CephPlaces {
  readonly directory: string
  readonly clusterId: string
  readonly gatewayPort: number
  readonly monitorPorts: { readonly v1: number; readonly v2: number }
}

const MEMORY_STORE_BYTES = 8 * 1024 ** 3

export function cephConfiguration(places: CephPlaces): string {
  const { directory, monitorPorts } = places
  return `[global]
fsid = ${places.clusterId}
mon host = [v2:127.0.0.1:${monitorPorts.v2},v1:127.0.0.1:${monitorPorts.v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
run dir = ${directory}/run
admin socket = ${directory}/run/$name.asok
pid file = ${directory}/run/$name.pid
log file = ${directory}/log/$name.log
crash dir = ${directory}/crash
keyring = ${directory}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
mon data avail crit = 1
mon osd full ratio = .97
mon osd backfillfull ratio = .96
mon osd nearfull ratio = .95
mon tick interval = 1
paxos propose interval = 0.05
paxos min wait = 0.01
osd objectstore = memstore
memstore device bytes = ${MEMORY_STORE_BYTES}
osd class load list = *
osd class default list = *
[mon.a]
mon data = ${directory}/mon/a
[osd.0]
osd data = ${directory}/osd/0
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${places.gatewayPort} tcp_nodelay=1
rgw enable apis = s3
rgw dns name = localhost
rgw run sync thread = false
rgw enable usage log = false
rgw enable ops log = false
rgw gc max objs = 7
`
}

export function cephKeyring(): string {
  return [
    entry('mon.', { mon: 'allow *' }),
    entry('client.admin', { mon: 'allow *', osd: 'allow *', mgr: 'allow *' }),
    entry('client.rgw', { mon: 'allow *', osd: 'allow *', mgr: 'allow *' }),
    entry('osd.0', { mon: 'allow *', osd: 'allow *' }),
  ].join('')
}

function entry(name: string, capabilities: Readonly<Record<string, string>>): string {
  const lines = Object.entries(capabilities).map(([daemon, may]) => `\tcaps ${daemon} = "${may}"\n`)
  return `[${name}]\n\tkey = ${cephSecret()}\n${lines.join('')}`
}

/** Ceph's form of an AES-128 key: type 1, time of making (seconds, nanoseconds), length, key. Little-endian. */
function cephSecret(): string {
  const head = Buffer.alloc(12)
  head.writeUInt16LE(1, 0)
  head.writeUInt16LE(16, 10)
  return Buffer.concat([head, randomBytes(16)]).toString('base64')
}
