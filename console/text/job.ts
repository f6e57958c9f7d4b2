export const jobTexts = {
  title: ['Job', '任务'],
  details: ['Details', '详情'],
  timeline: ['Timeline', '时间线'],
  log: ['Log', '日志'],
  explain: ['Placement', '调度说明'],
  files: ['Files', '文件'],
  spec: ['Spec', '规格'],
  deliveries: ['Webhooks', 'Webhook'],
} as const
