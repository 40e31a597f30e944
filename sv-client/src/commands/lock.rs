//! `sv lock`: wipes the keys.

use super::{done, finished};
use crate::{connect::Patience, context::Context, error::Result};
use sv_proto::Request;

pub fn run(context: &Context) -> Result<()> {
    // Without an agent there are no keys to wipe.
    if let Some(mut connection) = context.connect_if_running()? {
        done(&mut connection, Request::Lock, Patience::Short)?;
    }
    finished(context, "locked")
}
