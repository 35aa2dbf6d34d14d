// A process of its own that judges a history of registers: `node e2e/processes/history-judge.ts FILE`. Prints one sentence for each register whose history has no
// order that respects real time, then how many it has judged; ends with 1 when there was such a register.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { isLinearizable } from '../../node/sim/checkers/linearizable.ts'
import type { RegisterOperation, Timed } from '../../node/sim/checkers/linearizable.ts'
import type { RegisterRecord } from './register-clients.ts'

const path = process.argv[2]
if (path === undefined) {
  console.error('usage: history-judge.ts FILE')
  process.exit(2)
}

const histories = new Map<number, Timed<RegisterOperation>[]>()
for await (const line of createInterface({ input: createReadStream(path) })) {
  const record = JSON.parse(line) as RegisterRecord // written by register-clients.ts
  const history = histories.get(record.key) ?? []
  histories.set(record.key, history)
  history.push({ began: record.beganMs, ended: record.endedMs ?? Infinity, operation: operationOf(record) })
}

let broken = 0
let undecided = 0
let operations = 0
for (const [key, history] of histories) {
  operations += history.length
  const verdict = isLinearizable(history, 0)
  if (verdict === 'yes') continue
  if (verdict === 'no') broken += 1
  else undecided += 1
  console.log(
    `register ${key}: ${verdict === 'no' ? 'no order of its operations respects real time' : `not decided (${verdict})`}, ${history.length} operations`,
  )
  if (verdict === 'no') for (const each of history) console.log(`    ${JSON.stringify(each)}`)
}
console.log(`${histories.size} registers, ${operations} operations judged, ${broken} broken, ${undecided} undecided`)
process.exitCode = broken === 0 ? 0 : 1

function operationOf({ operation }: RegisterRecord): RegisterOperation {
  return operation.kind === 'cas' ? { ...operation, done: operation.done } : operation
}
