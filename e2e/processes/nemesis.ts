// Kills nodes, one kind of disaster after the other, from a seed. Never more than a minority is down, except when the whole cluster is.
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterOfProcesses } from './cluster-of-processes.ts'
import type { NodeProcess } from './node-process.ts'

export type Disaster =
  /** One node dies and is waited for until it serves again. */
  | { readonly kind: 'one'; readonly node: number; readonly pauseMs: number; readonly downMs: number }
  /** One node dies again and again, before it is back in the cluster. */
  | { readonly kind: 'same-again'; readonly node: number; readonly times: number; readonly pauseMs: number }
  /**
   * All nodes die, one after the other. `leaderLast`: the leader dies last, and comes back last, when the two others form a majority and serve already. A leader that
   * acknowledged writes all by itself is caught by nothing else: what it has sent still arrives after its death, from the kernel's buffers.
   */
  | {
      readonly kind: 'all'
      readonly order: readonly number[]
      readonly gapMs: number
      readonly leaderLast: boolean
      readonly pauseMs: number
    }

/** How many kills a disaster is. */
export function killsOf(disaster: Disaster, nodes: number): number {
  switch (disaster.kind) {
    case 'one':
      return 1
    case 'same-again':
      return disaster.times
    case 'all':
      return nodes
  }
}

// Writes run between the kills; a pause somewhere in this range hits them in every phase.
const pauseMsMax = 600
const downMsMax = 1500
// Long enough for a leader without followers to do something wrong, short against a check-quorum.
const gapMsMax = 400

// Kinds come in shuffled rounds of these, so that a run of a dozen kills has seen each; a round is nine or ten kills.
const round: readonly Disaster['kind'][] = ['one', 'one', 'one', 'one', 'same-again', 'all']

/** As many disasters as make exactly `kills` kills. */
export function planDisasters(random: () => number, options: { readonly nodes: number; readonly kills: number }): readonly Disaster[] {
  const plan: Disaster[] = []
  let killsLeft = options.kills
  while (killsLeft > 0) {
    for (const position of shuffled(round.length, random)) {
      if (killsLeft === 0) break
      const disaster = disasterOf(round[position] ?? 'one', random, { nodes: options.nodes, killsLeft })
      killsLeft -= killsOf(disaster, options.nodes)
      plan.push(disaster)
    }
  }
  return plan
}

function disasterOf(
  kind: Disaster['kind'],
  random: () => number,
  { nodes, killsLeft }: { readonly nodes: number; readonly killsLeft: number },
): Disaster {
  const pauseMs = Math.floor(random() * pauseMsMax)
  const node = Math.floor(random() * nodes)
  if (kind === 'all' && killsLeft >= nodes) {
    return { kind, order: shuffled(nodes, random), gapMs: Math.floor(random() * gapMsMax), leaderLast: random() < 0.7, pauseMs }
  }
  if (kind === 'same-again' && killsLeft >= 2) return { kind, node, times: Math.min(killsLeft, 2 + Math.floor(random() * 2)), pauseMs }
  return { kind: 'one', node, pauseMs, downMs: Math.floor(random() * downMsMax) }
}

/** Returns when every node is back. */
export async function strike(cluster: ClusterOfProcesses, disaster: Disaster): Promise<void> {
  await delay(disaster.pauseMs)
  switch (disaster.kind) {
    case 'one': {
      const node = nodeAt(cluster, disaster.node)
      await node.end('SIGKILL')
      await delay(disaster.downMs)
      node.start()
      return await cluster.whenReady([node])
    }
    case 'same-again': {
      const node = nodeAt(cluster, disaster.node)
      for (let time = 1; time <= disaster.times; time += 1) {
        await node.end('SIGKILL')
        node.start()
        // From "has just been executed" to "is replaying its log": each time a little later in its life.
        await delay(time * disaster.pauseMs)
      }
      return await cluster.whenReady([node])
    }
    case 'all':
      return await killAndRevive(cluster, disaster)
  }
}

async function killAndRevive(cluster: ClusterOfProcesses, disaster: Extract<Disaster, { kind: 'all' }>): Promise<void> {
  const leader = disaster.leaderLast ? await cluster.leader() : undefined
  const shuffledNodes = disaster.order.map((position) => nodeAt(cluster, position))
  const dying = leader === undefined ? shuffledNodes : [...shuffledNodes.filter((node) => node !== leader), leader]
  for (const [position, node] of dying.entries()) {
    if (position > 0) await delay(disaster.gapMs)
    await node.end('SIGKILL')
  }
  const first = disaster.leaderLast ? dying.slice(0, -1) : dying
  for (const node of first) node.start()
  await cluster.whenReady(first)
  for (const node of dying) if (!node.isRunning) node.start()
  await cluster.whenReady()
}

function shuffled(count: number, random: () => number): readonly number[] {
  const left = Array.from({ length: count }, (_, position) => position)
  return Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1)[0] ?? 0)
}

function nodeAt(cluster: ClusterOfProcesses, position: number): NodeProcess {
  const node = cluster.nodes[position]
  if (node === undefined) throw new Error(`there is no node ${position}`)
  return node
}
