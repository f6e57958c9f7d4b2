// Bytes that are read with the person's key, and shown or saved from memory.
import type { Api } from './client.ts'

/** What a page holds in memory at once; larger files are for the command-line client. */
export const maxSaved_bytes = 512 * 1024 ** 2

export async function readFile(api: Api, path: string): Promise<Blob> {
  return (await api.send(path)).blob()
}

/** As a download of the browser. */
export function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
