//! The arguments of `rotate` and `slot`, and of everything that takes a key.

use super::{NewPasswordArgs, PasswordArgs, shares};
use clap::{Args, Subcommand};
use std::path::PathBuf;

pub(super) const ROTATE: &str = "\
Examples:
  sv rotate                              new keys; the password stays
  sv rotate --password                   and a new password, asked for
  sv rotate --shares --out shares        and new shares, as with sv distribute
  sv rotate --shares=3 --threshold 2 --paper sheets

Every secret is under a new key afterwards, in one step: after a crash the
vault has the old keys or the new ones. Histories stay, and so do shares, which
open the new keys as they did the old ones, unless --shares deals new ones.
Copies of the vault made before still open with the old keys.";

pub(super) const ADD: &str = "\
Examples:
  head -c 32 /dev/urandom >key && chmod 600 key
  sv slot add --keyfile key --present-password
  sv slot add --credential sv-key --label server --present-keyfile key
  sv slot add --password --present-keyfile key

What is there already stays. It is proven by something that opens the vault
now: --password-fd, --password-stdin, --present-password (asks),
--present-keyfile or --present-credential; --password asks for what it needs.";

pub(super) const REMOVE: &str = "\
Examples:
  sv slot remove server
  sv slot remove 3fa9

The last one stays as long as no shares could open the vault instead.";

/// What opens a slot, instead of a password.
#[derive(Debug, Clone, Default, Args)]
pub struct PresentKeyArgs {
    /// Open it with this key file
    #[arg(long, value_name = "PATH")]
    pub keyfile: Option<PathBuf>,
    /// Open it with this systemd credential, in $CREDENTIALS_DIRECTORY
    #[arg(long, value_name = "NAME")]
    pub credential: Option<String>,
}

/// What else to renew.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Change the password as well
    #[arg(long = "password")]
    pub change: bool,
    /// Where the old password comes from.
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Where the new password comes from.
    #[command(flatten)]
    pub new: NewPasswordArgs,
    /// Deal new shares as well, N of them, 5 if it is not said
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true,
          default_missing_value = "0", value_parser = shares_or_default)]
    pub shares: Option<u8>,
    /// How many of them open the vault [default: 3]
    #[arg(long, value_name = "K", requires = "shares", value_parser = shares::part)]
    pub threshold: Option<u8>,
    /// Where they go.
    #[command(flatten)]
    pub to: shares::DestinationArgs,
}

/// What to do with slots.
#[derive(Debug, Subcommand)]
pub enum SlotCommand {
    /// List them
    #[command(after_help = "Example:\n  sv slot list --json")]
    List,
    /// Let another key or password open the vault here
    #[command(after_help = ADD)]
    Add(Box<AddArgs>),
    /// Let one no longer open it
    #[command(after_help = REMOVE)]
    Remove {
        /// Its label, or the beginning of its id
        #[arg(value_name = "SLOT")]
        slot: String,
    },
}

/// What to add, and what proves that one may.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The content of this file, 32 to 4096 bytes that nobody can guess
    #[arg(long, value_name = "PATH")]
    pub keyfile: Option<PathBuf>,
    /// A systemd credential, in $CREDENTIALS_DIRECTORY
    #[arg(long, value_name = "NAME")]
    pub credential: Option<String>,
    /// A password; asks for it
    #[arg(long)]
    pub password: bool,
    /// What to call it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub label: String,
    /// Where the present password comes from.
    #[command(flatten)]
    pub present: PasswordArgs,
    /// Where the new password comes from.
    #[command(flatten)]
    pub new: NewPasswordArgs,
    /// Ask for the present password
    #[arg(long)]
    pub present_password: bool,
    /// Prove it with this key file
    #[arg(long, value_name = "PATH")]
    pub present_keyfile: Option<PathBuf>,
    /// Prove it with this systemd credential
    #[arg(long, value_name = "NAME")]
    pub present_credential: Option<String>,
}

// Does not repeat what it was given.
fn shares_or_default(text: &str) -> Result<u8, &'static str> {
    match text {
        // `--shares` alone.
        "0" => Ok(0),
        _ => shares::part(text),
    }
}
