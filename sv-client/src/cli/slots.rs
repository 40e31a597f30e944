//! The arguments of `rotate` and `slot`, and of everything that takes a key.

use clap::{Args, Subcommand};

pub const ROTATE: &str = "";

/// What opens a slot, instead of a password.
#[derive(Debug, Clone, Default, Args)]
pub struct PresentKeyArgs {}

/// What else to renew.
#[derive(Debug, Args)]
pub struct RotateArgs {}

/// What to do with slots.
#[derive(Debug, Subcommand)]
pub enum SlotCommand {
    /// List them
    List,
}
