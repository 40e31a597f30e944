//! `sv-agent`: holds the keys of one vault in locked memory and answers over a
//! Unix socket that only its owner may use.
//!
//! | module          | holds                                                              |
//! |-----------------|--------------------------------------------------------------------|
//! | [`args`]        | the command line                                                   |
//! | [`clock`]       | the three clocks, replaceable for tests                            |
//! | `harden`        | not dumpable, no core, umask: before anything else                 |
//! | `start`         | from the command line to a listening socket, and the end           |
//! | `listen`        | the socket: systemd's, or one of our own in a checked directory    |
//! | `notify`        | what systemd is told                                               |
//! | `log`           | standard error, and the panic hook                                 |
//! | `serve`         | accepting, and one task for each connection                        |
//! | `connections`   | who is connected, and who has to go when there are too many        |
//! | `inbox`         | frames from a stream, within size, time and memory                 |
//! | `reply`         | frames to a stream, within the same                                |
//! | `budget`        | the memory that large frames share                                 |
//! | `gates`         | what each request passes, in order, in one place                   |
//! | `handlers`      | one file for each request                                          |
//! | `state`         | no vault, locked, or unlocked                                      |
//! | `ceremony`      | a recovery to which several people contribute                      |
//! | `rotation`      | rotations, to the end                                              |
//! | `session`       | when an unlocked vault locks by itself                             |
//! | `derivations`   | one password at a time, wrong ones ever slower                     |
//! | `unattended`    | a server that unlocks itself with a credential                     |
//! | `asker`         | who asks, for the audit log                                        |
//! | `events`        | what each request leaves in the audit log                          |
//! | `errors`        | from the engine's errors to the protocol's                         |
//! | `convert`       | between the engine's types and the protocol's                      |
//! | `limits`        | every limit, with its reason                                       |
//! | `sys`           | the only `unsafe`                                                  |
//!
//! One thread runs everything but key derivations. State is in `RefCell`s that
//! are never borrowed across an `await`.
#![deny(unsafe_code)]

pub mod args;
pub mod clock;

mod asker;
mod budget;
mod ceremony;
mod connections;
mod convert;
mod derivations;
mod errors;
mod events;
mod gates;
mod handlers;
mod harden;
mod inbox;
mod limits;
mod listen;
mod log;
mod notify;
mod reply;
mod rotation;
mod serve;
mod session;
mod start;
mod state;
mod sys;
mod unattended;

pub use args::Args;
pub use clock::{Clock, SystemClock};

use std::{process::ExitCode, sync::Arc};

/// The program.
pub fn main() -> ExitCode {
    // Before the command line is looked at: from here on no core is written
    // and no process of the same user can read this one's memory.
    if let Err(error) = harden::harden() {
        return start::report(&error, false);
    }
    match Args::from_command_line() {
        Ok(args) => start::run(args, Arc::new(SystemClock)),
        Err(code) => code,
    }
}

/// Runs the agent on `clock` until it is told to stop.
pub fn run(args: Args, clock: Arc<dyn Clock>) -> ExitCode {
    if let Err(error) = harden::harden() {
        return start::report(&error, args.detach);
    }
    start::run(args, clock)
}
