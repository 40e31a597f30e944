//! The arguments of `key`.

use super::shares::part;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

const GENERATE: &str = "\
Examples:
  sv key generate --out server.key
  sv key generate | sv key split --out shares

32 random bytes, good as a key file of `sv slot add --keyfile`. A file is never
overwritten, and the key is shown on a terminal only with --print.";

const SPLIT: &str = "\
Examples:
  sv key split server.key --shares 5 --threshold 3 --out shares
  sv key split --encoding raw <disk.key --bare >shares.txt

Any threshold of the shares gives the key back, fewer tell nothing of it. The
key is a file, or standard input; it has 16 to 64 bytes. Each share in --out is
a file of mode 0600, share-1-of-5.sv; all of them are written or none.";

const COMBINE: &str = "\
Examples:
  sv key combine share-1-of-5.sv share-3-of-5.sv share-4-of-5.sv --out server.key
  sv key combine --threshold 3 <shares.txt

Shares made by `sv key split` prove that the key is the one that was split. Bare
ones (INDEX:BASE64, as sv 2.x made them) can't: too few give a wrong key, and
only --threshold finds that out.";

/// What to do with a key.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a random key
    #[command(after_help = GENERATE)]
    Generate(OutputArgs),
    /// Split a key into shares
    #[command(after_help = SPLIT)]
    Split(SplitArgs),
    /// Get a key back from its shares
    #[command(after_help = COMBINE)]
    Combine(CombineArgs),
}

/// How a key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// A line of hexadecimal digits.
    #[default]
    Hex,
    /// A line of base64.
    Base64,
    /// The bytes themselves.
    Raw,
}

/// Where a key goes.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Write the key into this new file, of mode 0600
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How the key is written
    #[arg(long, value_enum, default_value_t)]
    pub encoding: Encoding,
    /// Show it on a terminal
    #[arg(long, conflicts_with = "out")]
    pub print: bool,
}

/// The arguments of `key split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// The file with the key; standard input if none is named, or for -
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How many shares
    #[arg(long, value_name = "N", default_value = "5", value_parser = part)]
    pub shares: u8,
    /// How many of them give the key
    #[arg(long, value_name = "K", default_value = "3", value_parser = part)]
    pub threshold: u8,
    /// Write a file of mode 0600 for each share into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How the key is written
    #[arg(long, value_enum, default_value_t)]
    pub encoding: Encoding,
    /// Make shares without an envelope, INDEX:BASE64
    #[arg(long)]
    pub bare: bool,
}

/// The arguments of `key combine`.
#[derive(Debug, Args)]
pub struct CombineArgs {
    /// Files with shares; standard input if none is named, or for -
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How many bare shares give the key
    #[arg(long, value_name = "K", value_parser = part)]
    pub threshold: Option<u8>,
    /// The private key for shares that are encrypted; repeatable
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// Where the key goes.
    #[command(flatten)]
    pub output: OutputArgs,
}
