//! The arguments of `distribute`, `collect`, `recover`, `share` and `shares`.

use super::PasswordArgs;
use crate::{paper::Format, transport::Node};
use clap::{Args, Subcommand};
use std::{path::PathBuf, time::Duration};
use sv_proto::limits;

pub(super) const DISTRIBUTE: &str = "\
Examples:
  sv distribute                          shows five shares, one at a time
  sv distribute --out /media/stick --shares 3 --threshold 2
  sv distribute --out shares --recipient alice.pub,bob.pub,carol.pub
  sv distribute --paper sheets --format pdf
  sv distribute --to one,two,three,four,five
  sv distribute --resume --out shares    what could not be delivered
  sv distribute --cancel                 forgets a set that is not in force

Makes a new recovery key and splits it: any three of five shares (or as said)
open the vault when every password is lost, fewer tell nothing. The earlier set
stays good until each new share is delivered, or until --commit with at least
as many as the threshold; then the keys of the vault are renewed. What was not
delivered waits encrypted in the vault.

A file is never overwritten. Shares go to one place; only a terminal alone needs
none, and shows each share on a screen of its own, never in the scrollback.";

pub(super) const COLLECT: &str = "";

pub(super) const RECOVER: &str = "\
Examples:
  sv recover                             asks for the shares, hidden
  sv recover share-1-of-5.sv share-4-of-5.sv share-5-of-5.sv
  sv recover share-*.age --identity key.txt
  sv --vault copy.sv recover a.sv b.sv c.sv
  sv recover --drill a.sv b.sv c.sv      proves that they open it, changes nothing

Several people, each in a session of their own:
  sv recover --start --for 30m           prints a key for the others
  sv share release my-share.sv --for KEY where the share is; prints a line
  sv recover --submit line.txt           here, until enough are there
  sv recover --finish                    asks for the new password

Needs the vault, or a copy or backup of it, and no password. Makes a new key for
this machine and a new password; all earlier passwords end.
Exit codes: 8 a damaged share, 6 a share of something else or too few.";

pub(super) const SHARES: &str = "\
Examples:
  sv shares
  sv shares --json

The set in force and one that is not yet: who has which share, since when, and
when it was last seen whole. Never a share.";

pub(super) const RELEASE: &str = "\
Examples:
  sv share release share-2-of-5.sv --for KEY
  sv share release share-2-of-5.age --identity key.txt --for KEY
  sv share release - --for KEY           asks for the share, hidden

KEY is what `sv recover --start` printed. The line that comes out opens for
that recovery only; hand it over by any way. Needs no agent and no vault.";

/// How many shares, and where they go.
#[derive(Debug, Default, Args)]
pub struct DistributeArgs {
    /// How many shares [default: 5, or as many as holders are named]
    #[arg(long, value_name = "N", value_parser = part)]
    pub shares: Option<u8>,
    /// How many of them open the vault [default: 3]
    #[arg(long, value_name = "K", value_parser = part)]
    pub threshold: Option<u8>,
    /// Where they go.
    #[command(flatten)]
    pub to: DestinationArgs,
    /// Deliver what still waits
    #[arg(long)]
    pub resume: bool,
    /// Put the set into force although some shares wait
    #[arg(long)]
    pub commit: bool,
    /// Forget the set that is not in force
    #[arg(long)]
    pub cancel: bool,
    /// Deal anew to the same nodes, but NEW instead of NODE; repeatable
    #[arg(long, value_name = "NODE=NEW", value_delimiter = ',', value_parser = replacement)]
    pub replace: Vec<(String, String)>,
}

/// Where shares go: one place.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Where the shares go")]
pub struct DestinationArgs {
    /// A file of mode 0600 each: share-1-of-5.sv
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Encrypt each to its holder: age1..., ssh-ed25519 ..., or a file of such
    /// lines; as many as shares, repeatable; with --out or --stdout
    #[arg(long = "recipient", value_name = "KEY")]
    pub recipients: Vec<String>,
    /// A sheet to print each: share-1-of-5.html
    #[arg(long, value_name = "DIR")]
    pub paper: Option<PathBuf>,
    /// What the sheets are: html, svg or pdf [default: html]
    #[arg(long, value_name = "FORMAT", value_parser = sheet)]
    pub format: Option<Format>,
    /// A node each, over the transport; repeatable
    #[arg(long = "to", value_name = "NODE", value_delimiter = ',')]
    pub nodes: Vec<String>,
    /// A line each, to standard output that is not a terminal
    #[arg(long)]
    pub stdout: bool,
}

/// Which nodes.
#[derive(Debug, Default, Args)]
pub struct CollectArgs {
    /// The nodes [default: those that hold a share]
    #[arg(value_name = "NODE", value_delimiter = ',')]
    pub nodes: Vec<Node>,
    /// Write a file of mode 0600 each: share-1-of-5.sv
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Open the vault with them and set a new password
    #[arg(long)]
    pub recover: bool,
    /// Prove that each node still has its share
    #[arg(long)]
    pub verify: bool,
    /// Where the new password comes from.
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// Which shares.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Files with shares, encrypted or not; - for standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The private key for shares that are encrypted; repeatable
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// Prove that the shares open the vault; changes nothing
    #[arg(long)]
    pub drill: bool,
    /// Where the new password comes from.
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Several people hand in their shares.
    #[command(flatten)]
    pub ceremony: CeremonyArgs,
}

/// Several people hand in their shares.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "When several people hand in their shares")]
pub struct CeremonyArgs {
    /// Begin, and print the key that shares are released for
    #[arg(long)]
    pub start: bool,
    /// How long until it is forgotten [default: 1h]
    #[arg(long = "for", value_name = "DURATION", requires = "start", value_parser = ceremony)]
    pub span: Option<Duration>,
    /// Hand in what `sv share release` printed, or a share; repeatable
    #[arg(long, value_name = "FILE")]
    pub submit: Vec<PathBuf>,
    /// Show which shares are handed in
    #[arg(long)]
    pub status: bool,
    /// Forget what was handed in
    #[arg(long)]
    pub cancel: bool,
    /// Open the vault with what was handed in
    #[arg(long)]
    pub finish: bool,
}

/// What to do with a share.
#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Encrypt a share for a recovery that somebody has started
    #[command(after_help = RELEASE)]
    Release {
        /// The file with the share, encrypted or not; - for standard input
        file: PathBuf,
        /// The key that the recovery printed
        #[arg(long = "for", value_name = "KEY")]
        key: String,
        /// The private key for a share that is encrypted; repeatable
        #[arg(long = "identity", value_name = "FILE")]
        identities: Vec<PathBuf>,
    },
}

// None of these repeats what it was given.

pub(super) fn part(text: &str) -> Result<u8, &'static str> {
    let number = text.parse().ok().filter(|n| *n >= 2);
    number.ok_or("wants a number from 2 to 255")
}

fn sheet(text: &str) -> Result<Format, &'static str> {
    let all = [Format::Html, Format::Svg, Format::Pdf];
    let found = all.into_iter().find(|f| f.extension() == text);
    found.ok_or("wants html, svg or pdf")
}

fn replacement(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => {
            Ok((old.to_owned(), new.to_owned()))
        }
        _ => Err("wants NODE=NEW"),
    }
}

fn ceremony(text: &str) -> Result<Duration, String> {
    let span = super::duration(text)?;
    if span.as_secs() > limits::CEREMONY {
        return Err("wants a day at most".to_owned());
    }
    Ok(span)
}
