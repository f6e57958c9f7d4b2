// Words of the page that holds jobs against each other.
export const compareTexts = {
  title: ['Compare', '对比'],
  about: [
    'Two to six jobs of one kind: their curves, figures and specs.',
    '对比两到六个同类任务的曲线、指标与规格。',
  ],
  add: ['Add a job', '添加任务'],
  choose: ['Choose a job …', '选择任务…'],
  remove: ['Remove {name}', '移除 {name}'],
  few: ['Choose two jobs or more', '请选择两个或更多任务'],
  fewHint: [
    'The newest that have succeeded are offered above. A page of two jobs can be shared by its address.',
    '上方列出最近成功的任务；对比页面可通过网址分享。',
  ],
  full: ['Six are compared at most', '最多对比六个任务'],
  notRead: ['{id} cannot be read', '无法读取 {id}'],
  curves: ['Equity, rebased to 100', '权益（起点为 100）'],
  curvesAbout: [
    '{n} curves from {first}, ending between {low} and {high}.',
    '自 {first} 起的 {n} 条曲线，期末介于 {low} 与 {high} 之间。',
  ],
  curvesNote: [
    'From {first}, the first date that all have, to {last}, the last; each is 100 there. On a date that one does not have its last value stands.',
    '自全部任务共有的首个日期 {first}（均为 100）至最后共有日期 {last}；缺少的日期沿用前值。',
  ],
  noCommon: ['They have no dates in common.', '它们没有共同的日期。'],
  metrics: ['Figures', '指标'],
  metric: ['Figure', '指标'],
  best: ['best', '最优'],
  mixed: ['They are of different kinds: only specs are compared.', '任务类型不同：仅对比规格。'],
  specs: ['Differences of specs', '规格差异'],
  same: ['The specs are equal.', '规格相同。'],
  showAll: ['Show what is equal too', '同时显示相同项'],
  field: ['Field', '字段'],
  inSampleNote: [
    'Without validation all figures are in sample: a better one may only have been tried more often.',
    '没有验证时，所有数字均为样本内：更好的结果可能只是尝试次数更多。',
  ],
  compareWith: ['Compare', '对比'],
} as const
