//! The arguments of `backup`, `restore` and `verify`.

use crate::transport::Node;
use clap::Args;
use std::{os::fd::RawFd, path::PathBuf};

/// After the help of `backup`.
pub const BACKUP: &str = "\
Examples:
  sv backup ~/vault-2030-01-31.sv
  sv backup /media/stick/vault.sv --force
  sv backup --to one,two --keep 7        on other nodes; only shares open it

The copy is encrypted, whole at any moment, and made while others read and
write. It opens with the password of today, without the agent too:
sv --vault FILE unlock. With --no-slots only shares open it. An existing FILE is
left alone (exit 5) without --force. On nodes it is put into
~/.local/share/sv/backups/VAULT-ID, and checked there.";

/// After the help of `restore`.
pub const RESTORE: &str = "\
Examples:
  sv restore ~/vault-2030-01-31.sv
  sv restore old.sv --source-password-fd 3 3<old-password.txt
  sv restore old.sv --share share-1.sv --share share-2.sv --share share-3.sv

Where no vault is, the backup becomes the vault, locked. Into a vault, which has
to be unlocked, it brings what that lacks and takes nothing away; a secret that
both sides changed keeps both, see `sv history`, and one whose name is taken is
called NAME.restored-XXXXXXXX. A backup from before `sv
rotate` needs what opened it then: its password, key file or shares.";

/// After the help of `verify`.
pub const VERIFY: &str = "\
Examples:
  sv verify                              the vault, which has to be unlocked
  sv verify ~/vault-2030-01-31.sv        a backup, without any key

Exits with 8 and names what is off, a line each.";

/// Where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write
    #[arg(required_unless_present = "to", conflicts_with = "to")]
    pub file: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long, requires = "file")]
    pub force: bool,
    /// Leave out what the passwords open: only shares open the copy
    #[arg(long, requires = "file")]
    pub no_slots: bool,
    /// Put it on a node instead, without slots; repeatable
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub to: Vec<Node>,
    /// Then remove all but the N newest there
    #[arg(long, value_name = "N", requires = "to", value_parser = keep)]
    pub keep: Option<usize>,
}

/// Where from.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A file that `sv backup` wrote
    pub file: PathBuf,
    /// What opens it.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// What opens a backup whose keys the vault no longer has.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// Read the backup's password from this open descriptor, one line
    #[arg(long, value_name = "N", value_parser = super::values::descriptor)]
    pub source_password_fd: Option<RawFd>,
    /// Read the backup's password from standard input, one line
    #[arg(long, conflicts_with = "source_password_fd")]
    pub source_password_stdin: bool,
    /// The backup's key file
    #[arg(long, value_name = "PATH",
          conflicts_with_all = ["source_password_fd", "source_password_stdin"])]
    pub source_keyfile: Option<PathBuf>,
    /// A file with a share of the backup; repeatable, as many as its threshold
    #[arg(long = "share", value_name = "FILE", value_delimiter = ',',
          conflicts_with_all = ["source_password_fd", "source_password_stdin", "source_keyfile"])]
    pub shares: Vec<PathBuf>,
}

/// What to check.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A backup or vault file; the vault itself if none is named
    pub file: Option<PathBuf>,
}

fn keep(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|n| *n >= 1);
    number.ok_or("wants a number, from 1")
}
