// What must hold when all is quiet.
import type { World } from './world.ts'

export async function finalCheck(_world: World): Promise<void> {}
