export const signInTexts = {
  title: ['Sign in to Berth', '登录 Berth'],
  key: ['API key', 'API 密钥'],
  keyHint: [
    'On the machine where Berth runs, the first one is in data/admin.key. Admins make more under API keys.',
    '首个密钥在运行 Berth 的机器上的 data/admin.key 文件中，管理员可在“API 密钥”页创建更多。',
  ],
  keep: ['Keep me signed in on this browser', '在此浏览器上保持登录'],
  signIn: ['Sign in', '登录'],
  wrong: [
    'This key works nowhere here: is it whole, and of this installation?',
    '此密钥无效：是否完整，且属于本系统？',
  ],
  empty: ['Paste a key', '请粘贴密钥'],
} as const
