// Words of a sweep: many points over a space of parameters.
export const sweepTexts = {
  soFar: [
    'The best points so far of each part, while it runs. All points are put together when it has ended.',
    '运行中：各分片目前最优的参数点；结束后合并全部参数点。',
  ],
  notYet: [
    'It is at work: the best points so far are no result. How many were tried, their deflated Sharpe ratio and the probability of overfitting are known when it has ended.',
    '正在运行：目前最优的参数点并非结果。尝试次数、去膨胀夏普与过拟合概率在结束后才可知。',
  ],
  noLuck: [
    'It ended without a result: how far luck made these points was not measured.',
    '任务结束但没有结果：未测量这些参数点有多少来自运气。',
  ],
  noPoints: ['There are no points yet', '暂无参数点'],
  noPointsHint: [
    'The first come when a part has worked for a few seconds.',
    '分片运行数秒后会出现首批参数点。',
  ],
  progress: ['Parts', '分片'],
  progressAbout: [
    '{done} of {n} part has ended.|{done} of {n} parts have ended.',
    '共 {n} 个分片，已完成 {done} 个。',
  ],
  part: ['Part {n}', '分片 {n}'],
  surface: ['Surface', '热力图'],
  surfaceTitle: ['{value} over {x} and {y}', '{value}：{x} × {y}'],
  surfaceAbout: [
    '{n} cell; the best is {best} at {x}, {y}.|{n} cells; the best is {best} at {x}, {y}.',
    '{n} 个格子，最优为 {best}（{x}，{y}）。',
  ],
  surfaceNote: [
    'All {n} point; where others differ, the {reduce} is shown. A plateau is worth more than a peak.|All {n} points; where others differ, the {reduce} is shown. A plateau is worth more than a peak.',
    '全部 {n} 个参数点；其他参数不同者取{reduce}。高原胜于孤峰。',
  ],
  max: ['greatest', '最大值'],
  min: ['least', '最小值'],
  mean: ['mean', '均值'],
  x: ['Across', '横轴'],
  y: ['Up', '纵轴'],
  value: ['Figure', '指标'],
  reduce: ['Shown of several', '合并方式'],
  oneParameter: ['One parameter varies: there is no surface of it.', '仅一个参数变化，无法绘制热力图。'],
  parallel: ['Parallel coordinates', '平行坐标'],
  parallelAbout: ['{n} point over {axes}.|{n} points over {axes}.', '{n} 个参数点：{axes}。'],
  parallelNote: [
    'Drag along an axis to choose; the table below follows. The colour is the objective.',
    '在坐标轴上拖动以筛选，下方表格随之变化；颜色表示目标值。',
  ],
  points: ['Points', '参数点'],
  point: ['Point', '编号'],
  showAll: ['Show all', '显示全部'],
  chosen: ['{n} chosen|{n} chosen', '已选 {n} 个'],
  best_first: ['Best first', '最优在前'],
  worst_first: ['Worst first', '最差在前'],
  by_number: ['By number', '按编号'],
  shownOf: [
    'The best of each part are kept for this table; all points are in points.parquet.',
    '此表仅保留各分片的最优参数点；全部参数点见 points.parquet。',
  ],
} as const
