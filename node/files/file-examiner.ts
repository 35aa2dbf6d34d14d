// A throw-away process: `node file-examiner.ts PATH OUTPUT GROWTH_BYTES_MAX FORM`, started by file-examination.ts. It may crash, hang, or take memory without end on the file at PATH:
// then it is ended, and the file is refused.
import process from 'node:process'
import { SelfWatch } from '../store/self-watch.ts'
import { rewriteFile, rewriteText } from './file-rewriting.ts'

const [, , path = '', output = '', growthBytesMax = '', form = ''] = process.argv
const watch = new SelfWatch({ growthBytesMax: Number(growthBytesMax) })
watch.begin()
// The node ends this process when it has read the answer.
process.send?.(form === 'text' ? rewriteText({ path, output }) : rewriteFile({ path, output }))
