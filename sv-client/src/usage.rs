//! What is said of arguments that make no sense. Never what was typed: a
//! password or a value may have been put where it does not belong.

use crate::{
    cli::Cli,
    error::{Error, Result},
    output,
};
use clap::{
    CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{error::Error as _, ffi::OsString};

/// Whether errors are to be JSON. Decided without the parser: it may be the
/// parser's error that is told.
#[must_use]
pub fn wants_json(args: &[OsString]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json")
}

/// Prints help or the version; everything else is wrong usage.
pub fn explain(error: &clap::Error, args: &[OsString]) -> Result<()> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::stdout(error.render().to_string().as_bytes())
        }
        _ => Err(Error::usage(message(error, args), hint(args))),
    }
}

fn hint(args: &[OsString]) -> String {
    let command = Cli::command();
    let named = args
        .iter()
        .skip(1)
        .take_while(|arg| *arg != "--")
        .find_map(|arg| {
            let arg = arg.to_str()?;
            command.get_subcommands().find(|c| c.get_name() == arg)
        });
    match named {
        Some(command) => format!("sv {} --help", command.get_name()),
        None => "sv --help".to_owned(),
    }
}

fn message(error: &clap::Error, args: &[OsString]) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => own(text),
        Some(ContextValue::Strings(texts)) => texts.iter().find_map(|t| own(t)),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg);
    let this = arg.as_deref().unwrap_or("an argument");
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(error, args),
        ErrorKind::InvalidSubcommand => "there is no such command".to_owned(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::MissingRequiredArgument => format!("{this} is missing"),
        // The options' own parsers never repeat what they were given.
        ErrorKind::ValueValidation => match error.source() {
            Some(source) => format!("{this}: {source}"),
            None => format!("{this} has a wrong value"),
        },
        ErrorKind::InvalidValue => format!("{this} wants a value"),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::NoEquals => format!("{this} takes its value after '='"),
        ErrorKind::TooManyValues => format!("{this} takes no value"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{this} wants a value")
        }
        ErrorKind::ArgumentConflict => match text(ContextKind::PriorArg) {
            Some(prior) if prior == this => format!("{this} was given twice"),
            Some(prior) => format!("{this} and {prior} can't be used together"),
            None => format!("{this} can't be used together with the others"),
        },
        _ => "the arguments make no sense".to_owned(),
    }
}

/// An option or argument as this program calls it, apart from its brackets.
fn own(text: &str) -> Option<String> {
    let name = text.split(['=', ' ', '[']).next().unwrap_or_default();
    let known = name.starts_with("--") || (name.starts_with('<') && text.ends_with(['>', '.']));
    known.then(|| name.trim_matches(['<', '>', '.']).to_owned())
}

fn unknown(error: &clap::Error, args: &[OsString]) -> String {
    // Only what looks like an option is repeated: after `--`, and in any
    // other form, it may be anything.
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.split('=').next().unwrap_or_default(),
        _ => "",
    };
    let is_option = option.strip_prefix("--").is_some_and(|name| {
        (2..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    });
    if is_option && !args.iter().any(|arg| arg == "--") {
        return format!("there is no option {option}");
    }
    if option.starts_with('-') && option.len() > 1 && !args.iter().any(|arg| arg == "--") {
        return "there is no such option".to_owned();
    }
    "an argument too many; passwords and values are never arguments".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn explained(line: &str) -> Error {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&args).unwrap_err();
        explain(&error, &args).unwrap_err()
    }

    #[test]
    fn one_line_with_the_commands_own_help() {
        for (line, message, hint) in [
            ("sv", "a command is missing", "sv --help"),
            ("sv get", "NAME is missing", "sv get --help"),
            ("sv rename a", "NEW is missing", "sv rename --help"),
            ("sv agent", "a command is missing", "sv agent --help"),
            (
                "sv get a --colour",
                "there is no option --colour",
                "sv get --help",
            ),
            (
                "sv get a --rev x",
                "--rev: wants the number of a revision, from 1",
                "sv get --help",
            ),
            (
                "sv get a --rev 0",
                "--rev: wants the number of a revision, from 1",
                "sv get --help",
            ),
            (
                "sv get a --json=x",
                "--json takes no value",
                "sv get --help",
            ),
            ("sv get a --rev", "--rev wants a value", "sv get --help"),
            (
                "sv get a --rev 1 --rev 2",
                "--rev was given twice",
                "sv get --help",
            ),
            (
                "sv get a --json --out f",
                "--json and --out can't be used together",
                "sv get --help",
            ),
            ("sv add a --print", "--generate is missing", "sv add --help"),
            (
                "sv add a --generate=7",
                "--generate: wants a length from 8 to 1024",
                "sv add --help",
            ),
            (
                "sv add a --expires soon",
                "--expires: not a date; write 2030-12-31, 2030-12-31T18:00:00Z, 90d or never",
                "sv add --help",
            ),
            (
                "sv unlock --password-fd x",
                "--password-fd: wants the number of an open descriptor",
                "sv unlock --help",
            ),
            (
                "sv unlock --for 0s",
                "--for: wants a second or more",
                "sv unlock --help",
            ),
        ] {
            let error = explained(line);
            assert_eq!(error.to_string(), message, "{line}");
            assert_eq!(error.hint(), Some(hint), "{line}");
            assert_eq!(error.code(), 2, "{line}");
        }
    }

    #[test]
    fn nothing_that_was_typed_is_repeated() {
        for line in [
            "sv hunter2",
            "sv add a hunter2",
            "sv add a -xhunter2",
            "sv add a --hunter2",
            "sv add a --hunter2=hunter2",
            "sv add a -- --hunter",
            "sv add a -- hunter2",
            "sv add a --stdin=hunter2",
            "sv add a --generate=hunter2",
            "sv add a --value-fd hunter2",
            "sv add a --value-fd=hunter2",
            "sv add a --expires hunter2",
            "sv get a --rev=hunter2",
            "sv unlock hunter2",
            "sv unlock --for hunter2",
            "sv unlock --password-stdin=hunter2",
            "sv agent hunter2",
            "sv help hunter2",
            "sv list a hunter2",
            "sv rename a b hunter2",
            "sv distribute hunter2",
            "sv distribute --shares hunter2",
            "sv distribute --format=hunter2",
            "sv distribute --replace hunter2",
            "sv recover --start --for hunter2",
            "sv rotate --shares=hunter2",
            "sv slot remove a hunter2",
            "sv share release a --for b hunter2",
        ] {
            let error = explained(line);
            let document = format!("{error} {:?} {:?}", error.hint(), error);
            assert!(!document.contains("hunter"), "{line}: {document}");
            assert_eq!(error.code(), 2, "{line}");
        }
    }

    #[test]
    fn json_is_seen_before_the_double_dash_only() {
        let args = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
        assert!(wants_json(&args("sv get --json a")));
        assert!(!wants_json(&args("sv get -- --json")));
        assert!(!wants_json(&args("sv get a")));
    }
}
