import { runContract } from './all-cases.ts'

runContract('one-node')
