#include "nsrelay/relay/flow_step.hpp"

namespace nsrelay {

FlowStep next_step(const FlowState& flow) {
  if (flow.sink_failed)
    return FlowStep::Abandoned;
  if (flow.has_pending)
    return flow.sink_writable ? FlowStep::Deliver : FlowStep::Wait;
  if (flow.source_at_end && flow.source_failed)
    return FlowStep::Drained;
  if (flow.fin_forwarded)
    return FlowStep::Finished;
  if (flow.source_at_end)
    return FlowStep::SendFin;
  return flow.source_readable ? FlowStep::Read : FlowStep::Wait;
}

}  // namespace nsrelay
