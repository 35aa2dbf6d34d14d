// Kills nodes, one kind of disaster after the other, from a seed. Never more than a minority is down, except when the whole cluster is.
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterOfProcesses } from './cluster-of-processes.ts'
import type { NodeProcess } from './node-process.ts'

export type Disaster =
  /** One node dies and is waited for until it serves again. */
  | { readonly kind: 'one'; readonly node: number; readonly pauseMs: number; readonly downMs: number }
  /** One node dies again and again, before it is back in the cluster. */
  | { readonly kind: 'same-again'; readonly node: number; readonly times: number; readonly pauseMs: number }
  /** All nodes die within a moment of each other. */
  | { readonly kind: 'all'; readonly pauseMs: number }

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

export function nextDisaster(random: () => number, options: { readonly nodes: number; readonly killsLeft: number }): Disaster {
  const { nodes, killsLeft } = options
  const dice = random()
  const node = Math.floor(random() * nodes)
  const pauseMs = Math.floor(random() * pauseMsMax)
  if (dice < 0.08 && killsLeft >= nodes) return { kind: 'all', pauseMs }
  if (dice < 0.25 && killsLeft >= 2) return { kind: 'same-again', node, times: Math.min(killsLeft, 2 + Math.floor(random() * 2)), pauseMs }
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
    case 'all': {
      await Promise.all(cluster.nodes.map((node) => node.end('SIGKILL')))
      for (const node of cluster.nodes) node.start()
      return await cluster.whenReady()
    }
  }
}

function nodeAt(cluster: ClusterOfProcesses, position: number): NodeProcess {
  const node = cluster.nodes[position]
  if (node === undefined) throw new Error(`there is no node ${position}`)
  return node
}
