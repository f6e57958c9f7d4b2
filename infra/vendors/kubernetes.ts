import { z } from 'zod'
import { address, pem, pricesAt, text, usd, vendor } from './common.ts'

const labels = z.record(z.string().max(317), z.string().max(1_000))

/** What every pod of an account gets; as Kubernetes names these things. */
export const pods = z
  .strictObject({
    labels: labels.optional(),
    annotations: labels.optional(),
    node_selector: labels.optional(),
    tolerations: z
      .array(
        z.strictObject({
          key: text.optional(),
          operator: z.enum(['Exists', 'Equal']).optional(),
          value: text.optional(),
          effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
        }),
      )
      .max(20)
      .optional(),
    priority_class: text.nullable().optional(),
    service_account: text.nullable().optional(),
    runtime_class: text.nullable().optional(),
    image_pull_secrets: z.array(text).max(20).optional(),
    run_as_user: z.int().min(1).nullable().optional(),
  })
  .optional()

export const kubernetes = vendor({
  settings: z.strictObject({
    region: text.default('cluster'),
    namespace: text.default('berth'),
    context: text.nullable().default(null),
    prices: z.strictObject({
      gpu_usd_per_hour: z.record(z.string().max(100), usd).default({}),
      cpu_usd_per_hour: usd,
      at: pricesAt,
    }),
    pods,
  }),
  credentials: z
    .strictObject({
      kubeconfig: z.string().min(1).max(200_000).optional(),
      server: address.optional(),
      token: z.string().min(1).max(20_000).optional(),
      ca: pem.optional(),
    })
    .refine(
      ({ kubeconfig, server, token, ca }) =>
        kubeconfig === undefined
          ? (server === undefined) === (token === undefined)
          : !server && !token && !ca,
      'must be kubeconfig, or server and token (and ca), or nothing in a pod with a service account',
    ),
  remote: true,
  async open({ account, settings, credentials: { kubeconfig, server, token, ca }, installation, clock }) {
    const { createKubernetesProvider } = await import('../../providers/kubernetes/kubernetes.ts')
    const { context, ...rest } = settings
    const cluster = kubeconfig
      ? { kubeconfig, context }
      : server && token
        ? { server, token, ca: ca ?? null }
        : { in_cluster: true as const }
    return createKubernetesProvider({ account, installation, clock, cluster, ...rest })
  },
})
