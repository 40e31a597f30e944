//! `sv agent`: starts or stops the agent.

use super::{done, finished};
use crate::{cli::AgentCommand, connect::Patience, context::Context, error::Result};
use std::time::Duration;
use sv_proto::Request;

pub fn run(context: &Context, command: &AgentCommand) -> Result<()> {
    match command {
        AgentCommand::Start => {
            if context.connect_if_running()?.is_none() {
                if context.vault_is_missing() {
                    return Err(context.no_vault());
                }
                context.start()?;
            }
            finished(context, "the agent runs")
        }
        AgentCommand::Stop => {
            let Some(mut connection) = context.connect_if_running()? else {
                return finished(context, "no agent ran");
            };
            done(&mut connection, Request::Stop, Patience::Short)?;
            // What is run next is not to meet the agent on its way out.
            connection.wait_for_end(Duration::from_secs(10))?;
            finished(context, "the agent has stopped")
        }
    }
}
