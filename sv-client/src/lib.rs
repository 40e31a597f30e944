//! The command line `sv`: it reads its arguments, sends one request to the
//! agent, prints the answer and ends. Blocking sockets, no threads of its own but
//! for a spinner, no keys, no vault file.
//!
//! | module       | holds                                                          |
//! |--------------|----------------------------------------------------------------|
//! | [`cli`]      | the arguments: every command and option with its help          |
//! | [`usage`]    | what is said of arguments that make no sense                   |
//! | [`context`]  | where things are, and how the agent is reached                 |
//! | [`commands`] | one module a command                                           |
//! | [`connect`]  | the socket: connecting, the peer's uid, requests and answers   |
//! | [`start`]    | starting an agent                                              |
//! | [`deliver`]  | where shares go: files, holders, paper, the terminal           |
//! | [`gather`]   | where shares come from: files, standard input, prompts         |
//! | [`mod@age`]  | shares encrypted to their holders                              |
//! | [`keyfile`]  | key files and credentials                                      |
//! | [`input`]    | passwords and values: their sources, the one consumer of stdin |
//! | [`stream`]   | reading descriptors into memory that is wiped                  |
//! | [`terminal`] | prompts, hidden and visible                                    |
//! | [`fields`]   | the fields of a secret as options                              |
//! | [`generate`] | random values                                                  |
//! | [`output`]   | standard output, escaping, colour                              |
//! | [`paper`]    | the printable sheet of a share                                 |
//! | [`mod@file`]     | `--out`: a file of mode 0600 that appears at once or not at all |
//! | [`json`]     | JSON documents                                                 |
//! | [`table`]    | aligned columns                                                |
//! | [`progress`] | a sign of life when something takes longer than a second       |
//! | [`transport`] | other nodes, reached through a program such as `vssh`         |
//! | [`error`]    | everything that can go wrong; exit codes and hints             |
#![forbid(unsafe_code)]

pub mod age;
pub mod cli;
pub mod commands;
pub mod connect;
pub mod context;
pub mod deliver;
pub mod error;
pub mod fields;
pub mod file;
pub mod gather;
pub mod generate;
pub mod input;
pub mod json;
pub mod keyfile;
pub mod output;
pub mod paper;
pub mod progress;
pub mod staged;
pub mod start;
pub mod stream;
pub mod table;
pub mod terminal;
pub mod transport;
pub mod usage;

use clap::Parser;
use error::{Error, Result};
use std::{ffi::OsString, process::ExitCode};

/// The program. Everything that can go wrong ends up in [`Error::report`].
#[must_use]
pub fn main() -> ExitCode {
    let hardened = harden();
    let args: Vec<OsString> = std::env::args_os().collect();
    match hardened.and_then(|()| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(usage::wants_json(&args)),
    }
}

fn run(args: &[OsString]) -> Result<()> {
    if let Some(cli) = cli::Cli::quick(args) {
        return commands::run(cli);
    }
    match cli::Cli::try_parse_from(args) {
        Ok(cli) => commands::run(cli),
        Err(error) => usage::explain(&error, args),
    }
}

/// No core dump and no debugger of the same user sees a password or a value.
/// Comes before anything is read.
fn harden() -> Result<()> {
    use nix::sys::{
        prctl,
        resource::{Resource, setrlimit},
    };
    prctl::set_dumpable(false)
        .and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0))
        .map_err(|e| Error::Harden(e.desc()))
}
