import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gatherFrame } from './frame-gathering.ts'
import type { WriterRequest } from './log-writer.ts'

const end = { frame: 1, hardState: { term: 1, votedFor: undefined }, base: { index: 0, term: 0 }, segments: [] }

function write(sequence: number, reset?: { readonly index: number; readonly term: number }): WriterRequest {
  const hardState = { term: sequence, votedFor: undefined }
  return { kind: 'write', sequence, hardState, entryCount: 1, indexMax: sequence, entries: new Uint8Array(10), reset }
}

function compact(index: number): WriterRequest {
  return { kind: 'compact', base: { index, term: 1 }, givenUp: undefined }
}

/** Each frame as `kind base: sequence, entries`. */
function frames(...requests: readonly WriterRequest[]): readonly string[] {
  const waiting = [...requests]
  const told: string[] = []
  for (let first = waiting.shift(); first !== undefined; first = waiting.shift()) {
    const { frame, sequence } = gatherFrame(end, first, (mayJoin) =>
      waiting[0] !== undefined && mayJoin(waiting[0]) ? waiting.shift() : undefined,
    )
    told.push(`${frame.kind} ${frame.base?.index ?? '-'}: ${sequence ?? '-'}, ${frame.entryCount} of term ${frame.hardState.term}`)
  }
  return told
}

test('whatever waits becomes one frame, with the newest term and the newest base', () => {
  assert.deepEqual(frames(write(1), write(2), write(3)), ['persist -: 3, 3 of term 3'])
  assert.deepEqual(frames(write(5), compact(2), write(6), compact(4)), ['persist 4: 6, 2 of term 6'])
  assert.deepEqual(frames(compact(2), compact(3)), ['compacted 3: -, 0 of term 1'])
})

test('a reset begins a frame, and a compaction does not join it: each would hide the other', () => {
  assert.deepEqual(frames(write(1), write(2, { index: 9, term: 1 }), write(3), compact(10), write(4)), [
    'persist -: 1, 1 of term 1',
    'reset 9: 3, 2 of term 3',
    'persist 10: 4, 1 of term 4',
  ])
})
