//! The arguments of `key`.

use clap::Subcommand;

/// What to do with a key.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make one
    Generate,
}
