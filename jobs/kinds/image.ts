// References of container images, as Docker and the OCI write them: https://github.com/distribution/reference

export interface ImageReference {
  /** `docker.io` where none is named. */
  registry: string
  /** Of the registry: `library/python` for Docker Hub's own. */
  repository: string
  tag: string | null
  /** `sha256:<64 hex digits>` */
  digest: string | null
  /** As it was written, without tag and digest. */
  name: string
}

/** Of a text that the params of kind `custom` accept. Pure. */
export function parseImage(image: string): ImageReference {
  const [tagged = '', digest = null] = image.split('@')
  const colon = tagged.lastIndexOf(':')
  // A colon before the last slash is that of a port.
  const isTagged = colon > tagged.lastIndexOf('/')
  const name = isTagged ? tagged.slice(0, colon) : tagged
  const tag = isTagged ? tagged.slice(colon + 1) : null
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  // What cannot be a host is a user of Docker Hub.
  if (/[.:]/.test(first) || first === 'localhost')
    return { registry: first, repository: name.slice(slash + 1), tag, digest, name }
  return { registry: 'docker.io', repository: slash < 0 ? `library/${name}` : name, tag, digest, name }
}

/** What is pulled: where a digest is there its tag says nothing, and podman refuses both together. */
export function pulledImage(image: string): string {
  const { name, digest } = parseImage(image)
  return digest === null ? image : `${name}@${digest}`
}

/** What foretells how long work takes: the image by its tag, where it has one, so that a new build is not unknown. */
export function imageFamily(image: string): string {
  const { name, tag } = parseImage(image)
  return tag === null ? image : `${name}:${tag}`
}
