//! The arguments that several commands share: where passwords and values come
//! from, fields, and what an argument may look like.

use crate::generate;
use clap::Args;
use std::{os::fd::RawFd, path::PathBuf, time::Duration};
use sv_proto::span;

/// Where a password comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct PasswordArgs {
    /// Read the password from this open descriptor, one line
    #[arg(long, value_name = "N", value_parser = descriptor)]
    pub password_fd: Option<RawFd>,
    /// Read the password from standard input, one line
    #[arg(long)]
    pub password_stdin: bool,
}

/// Where a new password comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct NewPasswordArgs {
    /// Read the new password from this open descriptor, one line
    #[arg(long, value_name = "N", value_parser = descriptor)]
    pub new_password_fd: Option<RawFd>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ValueArgs {
    /// Take the value from this file, byte for byte
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Make a random value of LEN characters, 32 if none is given
    #[arg(long, value_name = "LEN", num_args = 0..=1, require_equals = true,
          default_missing_value = "32", value_parser = length)]
    pub generate: Option<usize>,
    /// Print the value that was made
    #[arg(long, requires = "generate")]
    pub print: bool,
    /// Read the value from this open descriptor, to its end
    #[arg(long, value_name = "N", value_parser = descriptor)]
    pub value_fd: Option<RawFd>,
    /// Read the value from standard input, to its end
    #[arg(long)]
    pub stdin: bool,
    /// Keep the newline of a one-line value
    #[arg(long)]
    pub raw: bool,
    /// Let the value be empty
    #[arg(long)]
    pub allow_empty: bool,
}

/// The fields of a secret apart from name and value.
#[derive(Debug, Clone, Default, Args)]
pub struct FieldArgs {
    /// What kind of thing it is; '' for none
    #[arg(long, value_name = "CATEGORY")]
    pub category: Option<String>,
    /// Its tags; repeatable or separated by commas; '' for none
    #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
    pub tags: Option<Vec<String>>,
    /// A note; '' for none
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// When it ceases to be good: 2030-12-31, 90d or never
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub expires: Option<i64>,
}

// None of these repeats what it was given.

pub(super) fn revision(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok().filter(|n| *n >= 1);
    number.ok_or("wants the number of a revision, from 1")
}

pub(super) fn descriptor(text: &str) -> Result<RawFd, &'static str> {
    let number = text.parse().ok().filter(|n| *n >= 0);
    number.ok_or("wants the number of an open descriptor")
}

pub(super) fn length(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|n| generate::LENGTHS.contains(n));
    number.ok_or("wants a length from 8 to 1024")
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match span::duration(text) {
        Ok(span) if span.is_zero() => Err("wants a second or more".to_owned()),
        Ok(span) => Ok(span),
        Err(e) => Err(e.to_string()),
    }
}

pub(super) fn date(text: &str) -> Result<i64, String> {
    match span::date(text, crate::context::now()) {
        // 0 is the wire's word for never.
        Ok(time) if time > 0 || text.trim() == "never" => Ok(time),
        Ok(_) => Err("wants a time after 1970".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}
