//! The arguments of `audit`.

use clap::Args;

pub const AUDIT: &str = "";

/// Which events.
#[derive(Debug, Args)]
pub struct AuditArgs {}
