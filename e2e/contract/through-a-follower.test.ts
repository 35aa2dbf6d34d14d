import { runContract } from './all-cases.ts'

runContract('follower')
