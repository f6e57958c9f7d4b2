import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { jobDeliveriesQuery } from '../../api/job.ts'
import type { Job } from '../../api/types.ts'
import { DeliveryTable } from '../../parts/deliveries.tsx'
import { Asked } from '../../parts/problem.tsx'
import { deliveryTexts } from '../../text/job.ts'
import { useText } from '../../text/language.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { Empty } from '../../ui/states.tsx'

export function DeliveriesTab({ job }: { job: Job }) {
  const t = useText(deliveryTexts)
  const mayNot = useWhyNot('member')
  const query = useQuery({ ...jobDeliveriesQuery(useApi(), job.id), enabled: mayNot === null })
  if (mayNot !== null) return <Empty title={mayNot} />
  return (
    <Asked query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title={t('none')}>{t('noneHint')}</Empty>
        ) : (
          <DeliveryTable deliveries={items} />
        )
      }
    </Asked>
  )
}
