//! The arguments of `backup`, `restore` and `verify`.

use clap::Args;

pub const BACKUP: &str = "";
pub const RESTORE: &str = "";
pub const VERIFY: &str = "";

/// Where to.
#[derive(Debug, Args)]
pub struct BackupArgs {}

/// Where from.
#[derive(Debug, Args)]
pub struct RestoreArgs {}

/// What to check.
#[derive(Debug, Args)]
pub struct VerifyArgs {}
