// What each provider asks for, as a guide. The API checks it; docs/contracts.md has every setting.
import alibabaPolicy from '../../../infra/alibaba/ram-policy.json?raw'
import awsPolicy from '../../../infra/aws/policy.json?raw'
import kubernetesRights from '../../../infra/kubernetes/rbac.yaml?raw'
import tencentPolicy from '../../../infra/tencent/cam-policy.json?raw'

export interface GuideField {
  name: string
  hint: readonly [en: string, zh: string]
  /** `json`: lists and objects. */
  kind?: 'text' | 'number' | 'json' | 'secret' | 'file'
  required?: boolean
  /** To begin with. */
  example?: string
}

export interface Guide {
  provider: string
  title: string
  /** Machines there call this server. */
  calls_back: boolean
  policy: { name: string; text: string } | null
  note: readonly [en: string, zh: string]
  settings: readonly GuideField[]
  credentials: readonly GuideField[]
}

const none = ['', ''] as const
const rate = '{ "rate": 7.1, "at": "2026-03-01" }'

export const guides: readonly Guide[] = [
  {
    provider: 'runpod',
    title: 'RunPod',
    calls_back: true,
    policy: null,
    note: [
      'An API key with Read/Write, made under Settings, API Keys. Nothing else of the account is used.',
      '在 Settings → API Keys 创建具有 Read/Write 权限的密钥即可。',
    ],
    settings: [
      {
        name: 'clouds',
        kind: 'json',
        hint: [
          '["secure"], and "community" for machines of other people',
          '["secure"]，加 "community" 可用社区机器',
        ],
        example: '["secure"]',
      },
      {
        name: 'data_centers',
        kind: 'json',
        hint: ['An offer for each; empty: RunPod chooses', '每个数据中心一个报价；留空由 RunPod 选择'],
      },
      {
        name: 'disk_gb',
        kind: 'number',
        hint: ['Of every pod, in its price', '每个 pod 的磁盘，计入价格'],
        example: '50',
      },
    ],
    credentials: [{ name: 'api_key', kind: 'secret', required: true, hint: none }],
  },
  {
    provider: 'kubernetes',
    title: 'Kubernetes',
    calls_back: true,
    policy: { name: 'rbac.yaml', text: kubernetesRights },
    note: [
      'A kubeconfig of a service account with these rights in one namespace; it must hold its credentials itself, no files or commands.',
      '提供在单个命名空间内拥有这些权限的服务账户 kubeconfig，凭据须内嵌。',
    ],
    settings: [
      { name: 'namespace', hint: none, example: 'berth' },
      { name: 'region', hint: ['A name for where the cluster is', '集群所在位置的名称'], example: 'cluster' },
      {
        name: 'prices',
        kind: 'json',
        required: true,
        hint: ['What an hour of a CPU and of a GPU costs you', '每小时 CPU 与 GPU 的成本'],
        example: '{ "cpu_usd_per_hour": 0.02, "gpu_usd_per_hour": { "*": 1.0 } }',
      },
      {
        name: 'pods',
        kind: 'json',
        hint: ['Labels, node_selector, tolerations, run_as_user ...', '标签、node_selector、容忍等'],
      },
    ],
    credentials: [
      {
        name: 'kubeconfig',
        kind: 'file',
        hint: ['None in a pod with a service account', '在具有服务账户的 pod 中可留空'],
      },
    ],
  },
  {
    provider: 'alibaba',
    title: 'Alibaba Cloud ECS',
    calls_back: true,
    policy: { name: 'ram-policy.json', text: alibabaPolicy },
    note: [
      'A RAM user with this policy and an AccessKey; a vSwitch in each zone, a security group that lets nothing in, an image with driver, Docker and the container toolkit.',
      '为 RAM 用户附加此策略并创建 AccessKey；每个可用区一个 vSwitch、不放行入站的安全组，以及含驱动、Docker 与容器工具包的镜像。',
    ],
    settings: [
      { name: 'region', required: true, hint: none, example: 'cn-hangzhou' },
      {
        name: 'vswitches',
        kind: 'json',
        required: true,
        hint: ['One a zone', '每个可用区一个'],
        example: '[{ "zone": "cn-hangzhou-i", "id": "vsw-..." }]',
      },
      { name: 'security_group_id', required: true, hint: none, example: 'sg-...' },
      { name: 'image_id', required: true, hint: none, example: 'm-...' },
      {
        name: 'instance_types',
        kind: 'json',
        required: true,
        hint: none,
        example: '["ecs.gn7i-c8g1.2xlarge"]',
      },
      { name: 'ram_role', hint: ['Lets machines release themselves', '使机器能自行释放'] },
      {
        name: 'cny_per_usd',
        kind: 'json',
        hint: ['Without it, what is priced in CNY is not offered', '缺少时不提供以人民币计价的报价'],
        example: rate,
      },
    ],
    credentials: [
      { name: 'access_key_id', required: true, hint: none },
      { name: 'access_key_secret', kind: 'secret', required: true, hint: none },
    ],
  },
  {
    provider: 'tencent',
    title: 'Tencent Cloud TKE',
    calls_back: true,
    policy: { name: 'cam-policy.json', text: tencentPolicy },
    note: [
      'A CAM user with this policy, and a TKE cluster whose pools run the work.',
      '为 CAM 用户附加此策略，任务在 TKE 集群的节点池上运行。',
    ],
    settings: [
      { name: 'region', required: true, hint: none, example: 'ap-shanghai' },
      { name: 'cluster_id', required: true, hint: none, example: 'cls-...' },
      {
        name: 'cny_per_usd',
        kind: 'json',
        required: true,
        hint: ['1: the account is billed in USD', '1 表示以美元计费'],
        example: rate,
      },
      { name: 'endpoint', hint: ['public or private', 'public 或 private'], example: 'public' },
      { name: 'pools', kind: 'json', hint: none },
    ],
    credentials: [
      { name: 'secret_id', required: true, hint: none },
      { name: 'secret_key', kind: 'secret', required: true, hint: none },
    ],
  },
  {
    provider: 'aws',
    title: 'AWS Batch',
    calls_back: true,
    policy: { name: 'policy.json', text: awsPolicy },
    note: [
      'An IAM user or role with this policy, and a job queue for each shape.',
      '为 IAM 用户或角色附加此策略，并为每种规格准备作业队列。',
    ],
    settings: [
      { name: 'region', required: true, hint: none, example: 'us-east-1' },
      {
        name: 'shapes',
        kind: 'json',
        required: true,
        hint: ['What its queues have, and what it costs', '各队列的规格与价格'],
        example:
          '[{ "id": "g5.xlarge", "queue": "gpu", "gpu": { "model": "A10G", "count": 1, "memory_gib": 24 }, "cpu": 4, "memory_gib": 15, "disk_gib": 100, "usd_per_hour": 1.006 }]',
      },
      { name: 'job_role', hint: none },
      { name: 'execution_role', hint: none },
    ],
    credentials: [
      { name: 'access_key_id', hint: ['None where a role is found', '若有角色可留空'] },
      { name: 'secret_access_key', kind: 'secret', hint: none },
    ],
  },
  {
    provider: 'nomad',
    title: 'Nomad',
    calls_back: true,
    policy: null,
    note: [
      'A token that may submit, read and stop jobs of one namespace.',
      '可在单个命名空间提交、读取与停止作业的令牌。',
    ],
    settings: [
      { name: 'url', required: true, hint: none, example: 'https://nomad.example.com:4646' },
      { name: 'namespace', hint: none, example: 'default' },
      {
        name: 'shapes',
        kind: 'json',
        required: true,
        hint: none,
        example: '[{ "id": "small", "cpu": 4, "memory_gib": 16, "disk_gib": 50, "usd_per_hour": 0.1 }]',
      },
    ],
    credentials: [{ name: 'token', kind: 'secret', required: true, hint: none }],
  },
  {
    provider: 'containers',
    title: 'Docker or Podman',
    calls_back: false,
    policy: null,
    note: [
      'Whoever may talk to the engine is root on its machine: keep its socket to Berth.',
      '可访问引擎者即拥有该机器的 root 权限，请仅对 Berth 开放其套接字。',
    ],
    settings: [
      { name: 'socket', hint: ['Or a url', '或填写 url'], example: '/var/run/docker.sock' },
      {
        name: 'network',
        hint: ['host where the server listens on the machine alone', '服务器仅监听本机时用 host'],
        example: 'bridge',
      },
      { name: 'usd_per_hour', kind: 'number', hint: none, example: '0.01' },
      { name: 'slots_cpu', kind: 'number', hint: none, example: '4' },
      { name: 'slots_gpu', kind: 'number', hint: none, example: '1' },
    ],
    credentials: [],
  },
]
