//! The arguments of `distribute`, `collect`, `recover`, `share` and `shares`.

use clap::{Args, Subcommand};

pub const DISTRIBUTE: &str = "";
pub const COLLECT: &str = "";
pub const RECOVER: &str = "";
pub const SHARES: &str = "";

/// How many shares, and where they go.
#[derive(Debug, Args)]
pub struct DistributeArgs {}

/// Which nodes.
#[derive(Debug, Args)]
pub struct CollectArgs {}

/// Which shares.
#[derive(Debug, Args)]
pub struct RecoverArgs {}

/// What to do with a share.
#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Encrypt a share for a recovery that somebody has started
    Release,
}
