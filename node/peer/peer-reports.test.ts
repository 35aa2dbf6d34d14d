import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import type { NodeId } from '../raft/membership.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import type { PeerEvent } from './peer-event.ts'
import { peerReports } from './peer-reports.ts'

interface Line {
  readonly level: string
  readonly code?: string
  readonly leftOut?: number
}

function reporting(): { report: (event: PeerEvent) => void; lines: Line[]; metrics: Metrics; clock: ManualClock } {
  const lines: Line[] = []
  const logger = makeLogger({ level: 'info', destination: { write: (line: string) => void lines.push(JSON.parse(line) as Line) } })
  const metrics = new Metrics()
  const clock = new ManualClock()
  return { report: peerReports({ logger, metrics, clock }), lines, metrics, clock }
}

function refusal(code: 'tls_refused' | 'wrong_cluster'): PeerEvent {
  return { kind: 'refused-incoming', code, remoteAddress: '192.0.2.1:5', nodeId: undefined, detail: undefined }
}

test('a flood of refusals is counted whole and written once a second for each code', async () => {
  const { report, lines, metrics, clock } = reporting()
  for (let n = 0; n < 1000; n += 1) report(refusal('tls_refused'))
  report(refusal('wrong_cluster'))
  clock.advance(1_000)
  report(refusal('tls_refused'))
  assert.deepEqual(
    lines.map(({ code, leftOut }) => ({ code, leftOut })),
    [
      { code: 'tls_refused', leftOut: undefined },
      { code: 'wrong_cluster', leftOut: undefined },
      { code: 'tls_refused', leftOut: 999 },
    ],
  )
  assert.match(await metrics.render(), /securesql_peer_refusals_total\{code="tls_refused"\} 1001\n/)
})

test('a connection that we end ourselves is no warning, one that breaks is', () => {
  const { report, lines } = reporting()
  const ended = { kind: 'disconnected', id: 'b' as NodeId, purpose: 'raft', direction: 'outgoing' } as const
  report({ ...ended, why: 'closing' })
  report({ ...ended, why: 'ECONNRESET' })
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['info', 'warn'],
  )
})
