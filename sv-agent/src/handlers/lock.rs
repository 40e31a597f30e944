//! Wipes the keys; also done when none are held.

use crate::state::Agent;
use sv_proto::Response;

pub(super) fn handle(agent: &Agent) -> Response {
    agent.lock("asked");
    Response::Done
}
