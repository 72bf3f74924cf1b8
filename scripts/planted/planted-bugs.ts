/** Every planted bug: the 22 with which the protocol was tried before it was built. */
import { COMMIT_BUGS } from './bugs/commit.ts'
import { GENERATION_BUGS } from './bugs/generation.ts'
import { LAYER_BUGS } from './bugs/layers.ts'
import { RECOVERY_BUGS } from './bugs/recovery.ts'
import type { PlantedBug } from './planted-bug.ts'

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...COMMIT_BUGS,
  ...LAYER_BUGS,
  ...RECOVERY_BUGS,
  ...GENERATION_BUGS,
]
