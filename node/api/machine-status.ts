// What /status says of machine and program, in Go's words where rqlite has Go's: scripts compare them.
import { arch, availableParallelism, hostname, platform } from 'node:os'
import process from 'node:process'

const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }
const goSystems: Readonly<Record<string, string>> = { win32: 'windows' }

export function osStatus() {
  return { hostname: hostname(), pid: process.pid, ppid: process.ppid }
}

export function runtimeStatus() {
  return {
    GOARCH: goArchitectures[arch()] ?? arch(),
    GOMAXPROCS: availableParallelism(),
    GOOS: goSystems[platform()] ?? platform(),
    num_cpu: availableParallelism(),
    // Node's: what runs this program.
    version: process.version,
  }
}
