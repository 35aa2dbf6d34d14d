// Handing over leadership (thesis §3.10): bring the target's log up to the end, tell it to stand for election at once, take no proposals meanwhile.
import type { NodeId } from './membership.ts'
import { bestVoter, isCounted } from './quorum-contact.ts'
import { send, type RaftState } from './raft-state.ts'
import type { LeaderRole } from './role.ts'

/** `to` undefined: the voter whose log is longest. A target that is no other active voter is not tried. */
export function takeTransfer(state: RaftState, to: NodeId | undefined): void {
  const leader = state.role
  if (leader.kind !== 'leader' || leader.transfer !== undefined) return
  const target = to ?? bestVoter(state, leader)
  if (target === undefined || !state.voters.has(target) || !isCounted(state, leader.followers.get(target))) return
  leader.transfer = { to: target, ticks: 0, asked: false }
}

/**
 * Whoever cannot apply should not lead, and can be mended only by another leader: to any voter that follows closely. Chance chooses, since others may be in the same state
 * and would hand over in a circle; whoever was already so when it was elected leads for an election timeout first, or the circle would turn as fast as disks and network
 * can, each turn with an entry in logs that nobody can compact.
 */
export function giveAway(state: RaftState, leader: LeaderRole): void {
  if (state.now < leader.mayGiveAwayAtTick) return
  const heirs = Array.from(leader.followers).filter(
    ([id, progress]) => state.voters.has(id) && isCounted(state, progress) && progress.flow.kind === 'replicate',
  )
  const heir = heirs[state.random(heirs.length)]
  if (heir !== undefined) takeTransfer(state, heir[0])
}

export function settleTransfer(state: RaftState, leader: LeaderRole): void {
  const { transfer } = leader
  if (transfer === undefined || transfer.asked) return
  if (leader.followers.get(transfer.to)?.matchIndex !== state.log.lastIndex) return
  transfer.asked = true
  send(state, transfer.to, { kind: 'timeout-now', term: state.term })
}

/** After an election timeout the target has failed and this leader goes on. */
export function tickTransfer(state: RaftState, leader: LeaderRole): void {
  if (leader.transfer === undefined) return
  leader.transfer.ticks += 1
  if (leader.transfer.ticks >= state.electionTicks) leader.transfer = undefined
}
