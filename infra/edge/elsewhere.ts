import type { Provider } from '../../providers/provider.ts'

/** Vendors that are called by SDKs, for which a function has no room. */
export const elsewhere: readonly string[] = ['alibaba', 'aws', 'containers', 'kubernetes', 'tencent']

/** Whether an account is called by servers on Node alone. */
export const isElsewhere = ({ name }: Pick<Provider, 'name'>): boolean => elsewhere.includes(name)
