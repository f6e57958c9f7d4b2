import { homedir } from 'node:os'

/** The user's own folder; null: a container may run as a user whom its system does not know, and who has none. */
export function homeOf(): string | null {
  try {
    return homedir()
  } catch {
    return null
  }
}
