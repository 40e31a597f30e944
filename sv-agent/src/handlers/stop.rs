//! Wipes everything before it is answered; the agent ends when the answer is out.

use crate::state::Agent;
use sv_proto::Response;

pub(super) fn handle(agent: &Agent) -> Response {
    agent.close("asked");
    Response::Done
}
