// The starter process: `node starter-process.ts`, forked by process-starter.ts. It makes the processes that the node asks for, and passes on what is said. It reads nothing of it
// and holds nothing, so that it stays small: to fork takes as long as a process is large.
import { fork, type ChildProcess } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { starterVariable, type StarterReply, type StarterRequest } from './starter-messages.ts'

/** Behind the node itself, which answers heartbeats, but not last: people wait for what is done here. */
const niceness = 10
/**
 * What was passed on is garbage, and V8 collects it when more comes, not when nothing does: by itself this process would keep for good, twice over, the largest answers that were
 * ever under way at once.
 */
const garbageBytesMax = 64 * 1024 * 1024
const collectAfterMs = 1_000
const bytesAtStart = process.memoryUsage.rss()
let collection: NodeJS.Timeout | undefined

const children = new Map<number, ChildProcess>()
let lastId = 0
/** To be killed before they were asked for: that is still to come. */
const killedEarly = new Set<number>()

process.on('message', (request: StarterRequest) => {
  if (request.kind === 'start') return start(request)
  const child = children.get(request.id)
  if (child === undefined) return
  switch (request.kind) {
    case 'send':
      if (child.connected) child.send(request.message, () => {})
      return
    case 'step-back':
      return step(child, constants.priority.PRIORITY_LOW)
  }
})
createInterface({ input: process.stdin }).on('line', (line) => kill(Number(line)))
// The node is gone. What it has started sees its own parent go, and ends too (self-watch.ts).
process.on('disconnect', () => process.exit())

function start({ id, file, arguments: given }: Extract<StarterRequest, { kind: 'start' }>): void {
  lastId = id
  const isKilled = killedEarly.delete(id)
  let child: ChildProcess
  try {
    child = fork(file, [...given], {
      serialization: 'advanced',
      // What a crash would print may hold SQL.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Whoever has lost its parent before it could ask who that is must know it all the same.
      env: { ...process.env, [starterVariable]: String(process.pid) },
      execArgv: process.execArgv.filter((flag) => flag !== '--expose-gc'),
    })
  } catch (error) {
    // Some refusals of the system are thrown, others come as an event.
    return tell({ kind: 'unstarted', id, reason: error instanceof Error ? error.message : String(error) })
  }
  children.set(id, child)
  if (isKilled) child.kill('SIGKILL')
  // From the start: loading a program takes as much of the processor as many a statement.
  step(child, niceness)
  let end: Exclude<StarterReply, { kind: 'said' }> | undefined
  const tellEnd = (): void => {
    if (end === undefined || !children.delete(id)) return
    tell(end)
  }
  // What it has said before may arrive after it is gone.
  const look = (): void => {
    if (!child.connected) tellEnd()
  }
  child.on('message', (message) => {
    tell({ kind: 'said', id, message })
    collection ??= setTimeout(collect, collectAfterMs)
  })
  child.on('error', (error) => {
    if (child.pid !== undefined) return
    end = { kind: 'unstarted', id, reason: error.message }
    tellEnd()
  })
  child.on('disconnect', look)
  child.on('exit', (code, signal) => {
    end = { kind: 'ended', id, signal, reason: signal ?? `code ${String(code)}` }
    look()
  })
}

function kill(id: number): void {
  if (id > lastId) killedEarly.add(id)
  else children.get(id)?.kill('SIGKILL')
}

function step({ pid }: ChildProcess, priority: number): void {
  if (pid === undefined) return
  try {
    setPriority(pid, priority)
  } catch {
    // It has just ended.
  }
}

function collect(): void {
  collection = undefined
  if (process.memoryUsage.rss() <= bytesAtStart + garbageBytesMax) return
  globalThis.gc?.()
  // What is still on its way to the node is not garbage yet.
  if (process.memoryUsage.rss() > bytesAtStart + garbageBytesMax) collection = setTimeout(collect, collectAfterMs)
}

function tell(reply: StarterReply): void {
  process.send?.(reply, undefined, undefined, () => {})
}
