//! The arguments: every command and option with its help.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are help texts: [SV_VAULT] in one is no link"
)]

pub mod audit;
pub mod backup;
pub mod key;
pub mod shares;
pub mod slots;
pub mod values;

use clap::{Args, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, time::Duration};
pub use values::{FieldArgs, NewPasswordArgs, PasswordArgs, ValueArgs};
use values::{duration, revision};

const EXAMPLES: &str = "\
Examples:
  sv init                                create the vault and choose its password
  sv unlock                              once a session
  printf %s \"$token\" | sv add github/token --tag ci
  sv add db/password --generate          a random value that nobody sees
  sv get github/token                    the value and nothing else
  sv get ssh/key | ssh-add -             into another program, never an argument
  sv list --long
  sv lock

Passwords and values are never arguments: they come from the terminal, from
standard input or from a descriptor. Errors are one line on standard error.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 locked, 4 not found, 5 exists,
6 wrong password, 7 refused, 8 damaged, 9 conflict, 10 storage or transport,
11 version, 130 interrupted.";

/// Keeps secrets in an encrypted vault: unlock once, then read from anywhere
#[derive(Debug, Parser)]
#[command(name = "sv", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// `sv get` alone. Scripts run it thousands of times a day, and building the
/// other commands and their helps takes a fifth of its time.
#[derive(Debug, Parser)]
#[command(name = "sv", disable_help_flag = true, disable_help_subcommand = true)]
struct Quick {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: QuickCommand,
}

#[derive(Debug, Subcommand)]
enum QuickCommand {
    #[command(disable_help_flag = true)]
    Get(GetArgs),
}

impl Cli {
    /// The arguments, if they are a right `sv get`; anything else, mistakes
    /// and `--help` too, is for the whole parser.
    #[must_use]
    pub fn quick(args: &[OsString]) -> Option<Self> {
        if !args.iter().any(|arg| arg == "get") {
            return None;
        }
        let Quick { global, command } = Quick::try_parse_from(args).ok()?;
        let QuickCommand::Get(get) = command;
        Some(Self {
            global,
            command: Command::Get(get),
        })
    }
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The vault file [SV_VAULT]
    #[arg(long, global = true, value_name = "PATH")]
    pub vault: Option<PathBuf>,
    /// The agent's socket [SV_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The configuration file [SV_CONFIG]
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Never start an agent [SV_NO_AUTOSTART=1]
    #[arg(long, global = true)]
    pub no_autostart: bool,
    /// Never ask anything
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Answer with one JSON document, errors too
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create the vault and leave it unlocked
    #[command(after_help = "\
Examples:
  sv init
  sv init --password-fd 3 3<password.txt

Refuses (exit 5) where a vault is already.")]
    Init {
        /// Where its password comes from.
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Ask for the password once, for the whole session
    #[command(after_help = "\
Examples:
  sv unlock
  sv unlock --for 15m
  pass-prompt | sv unlock --password-stdin
  sv unlock --keyfile ~/.config/sv/key
  sv unlock --credential sv-key          in a service: LoadCredentialEncrypted=

An unlocked vault is left as it is, without asking.")]
    Unlock {
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordArgs,
        /// Lock this long after unlocking, used or not: 90s, 15m, 8h, 1h30m
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        span: Option<Duration>,
        /// Another key than a password.
        #[command(flatten)]
        key: slots::PresentKeyArgs,
        /// The vault went back to an earlier state, and that is meant
        #[arg(long)]
        accept_rollback: bool,
    },
    /// Wipe the keys
    #[command(after_help = "Done as well when it is locked already or no agent runs.")]
    Lock,
    /// Add a secret
    #[command(after_help = "\
Examples:
  sv add github/token                    asks for the value, hidden
  sv add ssh/key --file ~/.ssh/id_ed25519
  sv add db/password --generate=48 --category database --tag prod,eu
  sv add api/key --expires 90d <<<\"$key\"

The value comes from --file, --generate, --value-fd or --stdin; without any of
them from standard input, or from a hidden prompt where that is a terminal.
The newline of a one-line text is dropped from standard input and descriptors.")]
    Add {
        /// Its name; '/' separates folders
        name: String,
        /// Where the value comes from.
        #[command(flatten)]
        value: ValueArgs,
        /// The other fields.
        #[command(flatten)]
        fields: FieldArgs,
    },
    /// Print the value of a secret
    #[command(after_help = "\
Examples:
  sv get github/token
  sv get ssh/key --out id_ed25519
  sv get db/password --rev 2
  sv get db/password --json

The exact bytes of the value and nothing else; on a terminal a newline is
added, and what would garble the terminal is refused without --raw.")]
    Get(GetArgs),
    /// Show the fields of a secret
    #[command(after_help = "\
Examples:
  sv show github/token
  sv show github/token --reveal --json")]
    Show {
        /// Its name
        name: String,
        /// The value too
        #[arg(long)]
        reveal: bool,
        /// An earlier revision
        #[arg(long, value_name = "N", value_parser = revision)]
        rev: Option<u64>,
    },
    /// List names, sorted
    #[command(after_help = "\
Examples:
  sv list
  sv list prod/ --long
  sv list --tag ci --category api --json

--long prints aligned columns on a terminal, and elsewhere rows separated by
tabs: name, revision, updated, size, category, tags, expiry.")]
    List {
        /// Only names that begin with this: 'prod/' is a folder
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
        /// Only secrets of this category
        #[arg(long, value_name = "CATEGORY")]
        category: Option<String>,
        /// Only secrets with this tag; repeatable, all of them must be there
        #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
        tags: Vec<String>,
        /// The other fields too
        #[arg(long)]
        long: bool,
    },
    /// Find names, tags, categories and notes
    #[command(after_help = "\
Examples:
  sv search github
  sv search prod database --long

All words must be there; upper and lower case are the same. Values are never
searched.")]
    Search {
        /// The words to find
        #[arg(required = true, value_name = "QUERY")]
        words: Vec<String>,
        /// The other fields too
        #[arg(long)]
        long: bool,
    },
    /// Change the value of a secret, its fields, or both
    #[command(after_help = "\
Examples:
  sv update github/token                 asks for the new value, hidden
  sv update github/token --expires 90d   leaves the value alone
  sv update github/token --tag ''        removes all tags
  sv update db/password --generate --note 'rotated' --if-rev 3

With a field option the value stays, unless --stdin, --file, --value-fd,
--generate or --value asks for a new one.")]
    Update(UpdateArgs),
    /// Delete a secret
    #[command(after_help = "\
Examples:
  sv delete old/token
  sv delete old/token --yes --purge

The history stays, and `sv revert` brings a deleted secret back, unless
--purge drops both.")]
    Delete {
        /// Its name
        name: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
        /// Drop its history as well
        #[arg(long)]
        purge: bool,
    },
    /// Give a secret another name; its history stays
    #[command(after_help = "Example:\n  sv rename github/token forge/github/token")]
    Rename {
        /// Its name
        old: String,
        /// Its new name
        new: String,
    },
    /// List the revisions of a secret, newest first
    #[command(after_help = "Example:\n  sv history github/token")]
    History {
        /// Its name
        name: String,
    },
    /// Make a new revision out of an old one
    #[command(after_help = "Example:\n  sv revert github/token --rev 2")]
    Revert {
        /// Its name
        name: String,
        /// The old revision
        #[arg(long, value_name = "N", value_parser = revision)]
        rev: u64,
    },
    /// Change the password
    #[command(after_help = "\
Examples:
  sv passwd
  printf '%s\\n' \"$old\" \"$new\" | sv passwd --password-stdin
  sv passwd --password-fd 3 --new-password-fd 4 3<old 4<new

Reads the old password, then the new one. The secrets are not encrypted anew.")]
    Passwd {
        /// Where the old password comes from.
        #[command(flatten)]
        password: PasswordArgs,
        /// Where the new password comes from.
        #[command(flatten)]
        new: NewPasswordArgs,
    },
    /// Show the state of the agent and the vault
    #[command(after_help = "\
Examples:
  sv status
  sv status --check || sv unlock

--check prints nothing: 0 unlocked, 3 locked, 4 no vault.")]
    Status {
        /// Only tell by the exit code whether the vault is unlocked
        #[arg(long)]
        check: bool,
    },
    /// Split a new recovery key into shares
    #[command(after_help = shares::DISTRIBUTE)]
    Distribute(shares::DistributeArgs),
    /// Bring shares back from the nodes that hold them
    #[command(after_help = shares::COLLECT)]
    Collect(shares::CollectArgs),
    /// Open the vault with shares and set a new password
    #[command(after_help = shares::RECOVER)]
    Recover(shares::RecoverArgs),
    /// Hand a share in to a recovery elsewhere
    #[command(subcommand)]
    Share(shares::ShareCommand),
    /// Show who holds the shares
    #[command(after_help = shares::SHARES)]
    Shares,
    /// Make, split or combine a key that has nothing to do with the vault
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Renew the keys of the vault; secrets, histories and shares stay
    #[command(after_help = slots::ROTATE)]
    Rotate(slots::RotateArgs),
    /// What opens the vault on this machine
    #[command(subcommand)]
    Slot(slots::SlotCommand),
    /// Show who used which secret, and check that nothing is missing
    #[command(after_help = audit::AUDIT)]
    Audit(audit::AuditArgs),
    /// Copy the vault, encrypted, while it is in use
    #[command(after_help = backup::BACKUP)]
    Backup(backup::BackupArgs),
    /// Bring a backup back: as the vault, or into it
    #[command(after_help = backup::RESTORE)]
    Restore(backup::RestoreArgs),
    /// Check every object and signature of the vault, or of a backup
    #[command(after_help = backup::VERIFY)]
    Verify(backup::VerifyArgs),
    /// Start or stop the agent
    #[command(subcommand)]
    Agent(AgentCommand),
}

/// What to do with the agent.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Start it, locked; done as well when it runs
    Start,
    /// Wipe the keys and end it; done as well when none runs
    Stop,
}

/// The arguments of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Its name
    pub name: String,
    /// An earlier revision
    #[arg(long, value_name = "N", value_parser = revision)]
    pub rev: Option<u64>,
    /// Write a file of mode 0600 instead, whole or not at all
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub out: Option<PathBuf>,
    /// Write any bytes to a terminal, and no newline after them
    #[arg(long)]
    pub raw: bool,
}

/// The arguments of `update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Its name
    pub name: String,
    /// Where the value comes from.
    #[command(flatten)]
    pub value: ValueArgs,
    /// Ask for the new value, hidden
    #[arg(long = "value")]
    pub prompt: bool,
    /// The other fields.
    #[command(flatten)]
    pub fields: FieldArgs,
    /// Refuse (exit 9) unless this is the current revision
    #[arg(long, value_name = "N", value_parser = revision)]
    pub if_rev: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::{values::date, *};
    use crate::generate;
    use clap::CommandFactory;

    #[test]
    fn the_parser_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_quick_get_is_a_get() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for line in [
            "sv get a",
            "sv --json get a --rev 2",
            "sv get --vault v a --raw --no-input",
            "sv get --out f -- -a",
            "sv --vault get get get",
        ] {
            let quick = Cli::quick(&words(line)).expect(line);
            let whole = Cli::try_parse_from(words(line)).expect(line);
            assert_eq!(format!("{quick:?}"), format!("{whole:?}"), "{line}");
        }
        for line in [
            "sv",
            "sv status",
            "sv get",
            "sv get --help",
            "sv --version",
            "sv get a --rev 0",
            "sv show get",
            "sv get a --unknown",
            "sv help get",
        ] {
            assert!(Cli::quick(&words(line)).is_none(), "{line}");
        }
    }

    #[test]
    fn the_default_length_is_the_generators() {
        let cli = Cli::try_parse_from(["sv", "add", "a", "--generate"]).unwrap();
        match cli.command {
            Command::Add { value, .. } => assert_eq!(value.generate, Some(generate::DEFAULT)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_of_every_command_go_anywhere() {
        for line in [
            &["sv", "--json", "--vault", "v", "get", "a"][..],
            &["sv", "get", "--vault", "v", "a", "--json"],
            &["sv", "agent", "stop", "--json", "--vault=v"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert!(cli.global.json);
            assert_eq!(cli.global.vault, Some(PathBuf::from("v")));
        }
    }

    #[test]
    fn tags_are_repeated_or_separated_or_removed() {
        let tags = |line: &[&str]| match Cli::try_parse_from(line).unwrap().command {
            Command::Update(args) => args.fields.tags,
            other => panic!("{other:?}"),
        };
        assert_eq!(tags(&["sv", "update", "a"]), None);
        assert_eq!(
            tags(&["sv", "update", "a", "--tag", "x,y", "--tag=z"]),
            Some(vec!["x".to_owned(), "y".to_owned(), "z".to_owned()])
        );
        assert_eq!(
            tags(&["sv", "update", "a", "--tag", ""]),
            Some(vec![String::new()])
        );
    }

    #[test]
    fn dates_and_durations() {
        assert_eq!(date("never"), Ok(0));
        assert_eq!(date("1970-01-02"), Ok(86_400_000));
        assert!(date("1970-01-01").is_err());
        assert!(date("1960-01-01").is_err());
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("0s").is_err());
    }

    #[test]
    fn names_may_begin_with_a_dash() {
        let cli = Cli::try_parse_from(["sv", "get", "--", "-a"]).unwrap();
        match cli.command {
            Command::Get(args) => assert_eq!(args.name, "-a"),
            other => panic!("{other:?}"),
        }
    }
}
