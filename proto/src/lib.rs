//! What `sv` and `sv-agent` agree on. Pure: no sockets, no async, no clock.
//!
//! | module       | holds                                                        |
//! |--------------|--------------------------------------------------------------|
//! | [`limits`]   | every size and count of the protocol, with its reason        |
//! | [`frame`]    | the outer layer: length, version, flags, request id          |
//! | [`codec`]    | the inner layer: bincode with a limit, and only canonically  |
//! | [`message`]  | the requests and responses                                   |
//! | [`kind`]     | the kinds of failure, stable on the wire and in `--json`     |
//! | [`secret`]   | bytes that are wiped and never printed                       |
//! | [`name`]     | what a secret may be called                                  |
//! | [`span`]     | durations and dates as people write them                     |
//! | [`config`]   | the configuration file                                       |
//! | [`places`]   | where the vault, the socket and the configuration are        |
//!
//! `PROTOCOL.md` beside this crate is the normative text, byte by byte.
#![forbid(unsafe_code)]

pub mod codec;
pub mod config;
pub mod frame;
pub mod kind;
pub mod limits;
pub mod message;
pub mod name;
pub mod places;
pub mod secret;
pub mod span;

pub use kind::Kind;
pub use message::{Envelope, Request, Response};
pub use secret::Secret;
