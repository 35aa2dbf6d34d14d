// Why a command line was refused: before any file is touched, with exit code 1.

/** The message is a whole sentence for people and never holds a value that may be a secret (a URL with credentials). */
export interface FlagProblem {
  readonly code:
    | 'flag_syntax'
    | 'flag_unknown'
    | 'flag_value_missing'
    | 'flag_value_invalid'
    | 'flag_not_supported_yet'
    | 'flag_gone'
    | 'flags_conflict'
    | 'data_dir_missing'
    | 'arguments_extra'
  /** Name without dash, where one flag is to blame. */
  readonly flag: string | undefined
  readonly message: string
}
