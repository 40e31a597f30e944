//! Where passwords and values come from. Nothing of either is ever an argument
//! or a variable of the environment, and standard input has one consumer.

use crate::{
    cli::{NewPasswordArgs, PasswordArgs, ValueArgs},
    error::{Error, Result},
    generate, output,
    stream::Stream,
    terminal::Terminal,
};
use std::{
    io::{self, IsTerminal},
    os::fd::RawFd,
};
use sv_proto::{Secret, limits};
use zeroize::Zeroizing;

const DESCRIPTORS: &str =
    "give each its own descriptor: --password-fd, --new-password-fd or --value-fd";
const NO_PASSWORD: &str = "--password-fd N or --password-stdin";
const NO_VALUE: &str = "--stdin, --file PATH, --value-fd N or --generate";

/// How often a new password may be mistyped.
const TRIES: usize = 3;

/// Standard input can be claimed once. A claim carries the option that made it.
pub fn one_consumer(claims: &[(&str, bool)]) -> Result<()> {
    let made: Vec<&str> = claims.iter().filter(|c| c.1).map(|c| c.0).collect();
    match made.as_slice() {
        [] | [_] => Ok(()),
        [first, second, ..] => Err(Error::usage(
            format!("standard input is claimed twice, by {first} and {second}"),
            DESCRIPTORS,
        )),
    }
}

/// Of several ways to say where something comes from, at most one.
pub fn one_source(sources: &[(&str, bool)]) -> Result<()> {
    let named: Vec<&str> = sources.iter().filter(|s| s.1).map(|s| s.0).collect();
    match named.as_slice() {
        [] | [_] => Ok(()),
        [first, second, ..] => Err(Error::usage(
            format!("{first} and {second} can't be used together"),
            "leave one of them away",
        )),
    }
}

/// A stream with the words for it in messages.
struct Named {
    stream: Stream,
    what: String,
}

impl Named {
    fn descriptor(fd: RawFd) -> Result<Self> {
        let what = match fd {
            0 => "standard input".to_owned(),
            _ => format!("descriptor {fd}"),
        };
        match Stream::descriptor(fd) {
            Ok(stream) => Ok(Self { stream, what }),
            Err(error) if error.raw_os_error().is_none() => Err(Error::usage(
                format!("can't read {what}: {error}"),
                format!("open it for sv, as in: sv ... {fd}<FILE"),
            )),
            Err(error) => Err(Error::Read { what, error }),
        }
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let what = self.what.clone();
        |error| Error::Read { what, error }
    }
}

/// Where a command's password comes from. Streams are claimed at once, the
/// terminal only when it has to be asked.
pub struct Passwords {
    first: Option<Named>,
    second: Option<Named>,
    no_input: bool,
}

impl Passwords {
    /// For commands with one password.
    pub fn claim(args: &PasswordArgs, no_input: bool) -> Result<Self> {
        Self::claim_both(args, &NewPasswordArgs::default(), no_input)
    }

    /// For commands with a password and a new one.
    pub fn claim_both(args: &PasswordArgs, new: &NewPasswordArgs, no_input: bool) -> Result<Self> {
        one_consumer(&[
            ("--password-stdin", args.password_stdin),
            ("--password-fd 0", args.password_fd == Some(0)),
            ("--new-password-fd 0", new.new_password_fd == Some(0)),
        ])?;
        one_source(&[
            ("--password-fd", args.password_fd.is_some()),
            ("--password-stdin", args.password_stdin),
        ])?;
        let first = if args.password_stdin {
            Some(0)
        } else {
            args.password_fd
        };
        // The same descriptor twice is one stream of two lines.
        let second = new.new_password_fd.filter(|fd| Some(*fd) != first);
        Ok(Self {
            first: first.map(Named::descriptor).transpose()?,
            second: second.map(Named::descriptor).transpose()?,
            no_input,
        })
    }

    /// The password as it is now.
    pub fn current(&mut self, prompt: &str) -> Result<Secret> {
        match from_stream(self.first.as_mut())? {
            Some(password) => Ok(password),
            None => self.ask(prompt),
        }
    }

    /// A password for the first time: typed twice on a terminal.
    pub fn fresh(&mut self, prompt: &str) -> Result<Secret> {
        let stream = self.second.as_mut().or(self.first.as_mut());
        if let Some(password) = from_stream(stream)? {
            return Ok(password);
        }
        let terminal = self.terminal()?;
        for _ in 0..TRIES {
            let password = terminal.hidden(prompt, limits::PASSWORD)?;
            if password.is_empty() {
                terminal.say("A password can't be empty.")?;
                continue;
            }
            let password = checked(password)?;
            let again = terminal.hidden("The same again", limits::PASSWORD)?;
            if *again == password.expose() {
                return Ok(password);
            }
            terminal.say("The two differ.")?;
        }
        Err(Error::usage(
            "no password was typed twice the same",
            NO_PASSWORD,
        ))
    }

    fn ask(&self, prompt: &str) -> Result<Secret> {
        checked(self.terminal()?.hidden(prompt, limits::PASSWORD)?)
    }

    fn terminal(&self) -> Result<Terminal> {
        terminal(self.no_input, "a password", NO_PASSWORD)
    }
}

/// The terminal, for asking; an error if there is none, or nobody may be asked.
pub fn terminal(no_input: bool, what: &str, hint: &str) -> Result<Terminal> {
    if no_input {
        return Err(Error::usage(
            format!("{what} is needed, and --no-input forbids to ask for it"),
            hint,
        ));
    }
    Terminal::open().ok_or_else(|| {
        Error::usage(
            format!("{what} is needed, and there is no terminal to ask on"),
            hint,
        )
    })
}

/// A line of the stream. Somebody who types into it does so unseen.
fn from_stream(named: Option<&mut Named>) -> Result<Option<Secret>> {
    let Some(named) = named else { return Ok(None) };
    if named.stream.is_terminal() {
        return Ok(None);
    }
    let failed = named.failed();
    match named.stream.line(limits::PASSWORD).map_err(failed)? {
        Some(line) => checked(line).map(Some),
        None => Err(Error::usage(
            format!("{} ended before the password", named.what),
            "a password is one line; passwd reads the old one, then the new one",
        )),
    }
}

fn checked(password: Zeroizing<Vec<u8>>) -> Result<Secret> {
    if password.is_empty() {
        return Err(Error::usage("a password can't be empty", NO_PASSWORD));
    }
    if password.len() > limits::PASSWORD {
        return Err(Error::usage(
            format!("a password has at most {} bytes", limits::PASSWORD),
            "is it the right file?",
        ));
    }
    Ok(password.into())
}

/// Where a command's value comes from.
pub struct Value {
    source: Source,
    raw: bool,
    allow_empty: bool,
    no_input: bool,
}

enum Source {
    Prompt,
    /// Standard input or a descriptor: a newline at the end may be dropped.
    Stream(Named),
    File(Named),
    Generate(usize),
}

impl Value {
    /// Claims the value's source. `None` when `optional` and none was named.
    /// `prompt` is an option that asks for the prompt by name.
    pub fn claim(
        args: &ValueArgs,
        prompt: bool,
        optional: bool,
        no_input: bool,
    ) -> Result<Option<Self>> {
        one_consumer(&[
            ("--stdin", args.stdin),
            ("--value-fd 0", args.value_fd == Some(0)),
        ])?;
        one_source(&[
            ("--stdin", args.stdin),
            ("--value-fd", args.value_fd.is_some()),
            ("--file", args.file.is_some()),
            ("--generate", args.generate.is_some()),
            ("--value", prompt),
        ])?;
        let source = if let Some(fd) = args.value_fd {
            Source::Stream(Named::descriptor(fd)?)
        } else if let Some(path) = &args.file {
            let what = "the file of --file".to_owned();
            match Stream::path(path) {
                Ok(stream) => Source::File(Named { stream, what }),
                Err(error) => return Err(Error::Read { what, error }),
            }
        } else if let Some(length) = args.generate {
            Source::Generate(length)
        } else if prompt {
            Source::Prompt
        } else if args.stdin {
            Source::Stream(Named::descriptor(0)?)
        } else if optional {
            return Ok(None);
        } else if io::stdin().is_terminal() {
            Source::Prompt
        } else {
            Source::Stream(Named::descriptor(0)?)
        };
        Ok(Some(Self {
            source,
            raw: args.raw,
            allow_empty: args.allow_empty,
            no_input,
        }))
    }

    /// Whether a person will be asked for it.
    #[must_use]
    pub fn asks(&self) -> bool {
        matches!(self.source, Source::Prompt)
    }

    /// Reads, asks for or makes the value.
    pub fn read(self, name: &str) -> Result<Secret> {
        let value = match self.source {
            Source::Generate(length) => generate::value(length)?,
            Source::Prompt => terminal(self.no_input, "a value", NO_VALUE)?
                .hidden(&format!("Value of {name}"), limits::VALUE)?,
            Source::File(named) => all(named)?,
            Source::Stream(named) => {
                if named.stream.is_terminal() {
                    output::note("type the value; Ctrl-D on a new line ends it");
                }
                let mut value = all(named)?;
                if !self.raw {
                    drop_lone_newline(&mut value);
                }
                value
            }
        };
        if value.len() > limits::VALUE {
            return Err(Error::usage(
                "the value is larger than 1 MiB",
                "keep larger things in an encrypted file and its key here",
            ));
        }
        if value.is_empty() && !self.allow_empty {
            return Err(Error::usage(
                "the value is empty",
                "--allow-empty, if that is meant",
            ));
        }
        Ok(value.into())
    }
}

/// Everything, but no more than shows that it is too much: a newline that will
/// be dropped, and one byte more.
fn all(mut named: Named) -> Result<Zeroizing<Vec<u8>>> {
    let failed = named.failed();
    named.stream.all(limits::VALUE + 2).map_err(failed)
}

/// Drops the newline that `echo` and a here-string add: at the end of UTF-8
/// text and the only one in it. A text of several lines keeps all of them.
fn drop_lone_newline(value: &mut Vec<u8>) {
    if value.ends_with(b"\n")
        && value.iter().filter(|b| **b == b'\n').count() == 1
        && std::str::from_utf8(value).is_ok()
    {
        value.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::fd::AsRawFd};

    #[test]
    fn the_newline_rule() {
        let after = |value: &[u8]| {
            let mut value = value.to_vec();
            drop_lone_newline(&mut value);
            value
        };
        assert_eq!(after(b"token\n"), b"token");
        assert_eq!(after(b"token"), b"token");
        assert_eq!(after(b"\n"), b"");
        assert_eq!(after(b"token\r\n"), b"token\r");
        assert_eq!(after(b"two\nlines\n"), b"two\nlines\n");
        assert_eq!(after(b"token\n\n"), b"token\n\n");
        assert_eq!(after(b"a\nb"), b"a\nb");
        assert_eq!(after(b"\xff\n"), b"\xff\n");
        assert_eq!(after(b"a\0b\n"), b"a\0b");
    }

    fn args() -> ValueArgs {
        ValueArgs::default()
    }

    /// The value that reading `bytes` from a descriptor gives, or the exit code.
    fn read(bytes: &[u8], change: impl FnOnce(&mut ValueArgs)) -> std::result::Result<Secret, u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut args = args();
        args.value_fd = Some(file.as_raw_fd());
        change(&mut args);
        let value = Value::claim(&args, false, false, true).unwrap().unwrap();
        value.read("x").map_err(|e| e.code())
    }

    #[test]
    fn limits_of_a_value() {
        let most = vec![b'x'; limits::VALUE];
        assert_eq!(read(&most, |_| ()).unwrap().len(), limits::VALUE);
        let mut line = most.clone();
        line.push(b'\n');
        assert_eq!(read(&line, |_| ()).unwrap().len(), limits::VALUE);
        assert_eq!(read(&line, |a| a.raw = true).unwrap_err(), 2);
        line.push(b'\n');
        assert_eq!(read(&line, |_| ()).unwrap_err(), 2);
        assert_eq!(read(b"", |_| ()).unwrap_err(), 2);
        assert_eq!(read(b"\n", |_| ()).unwrap_err(), 2);
        assert_eq!(read(b"\n", |a| a.allow_empty = true).unwrap().len(), 0);
        assert_eq!(read(b"\n", |a| a.raw = true).unwrap().expose(), b"\n");
    }

    #[test]
    fn one_consumer_of_standard_input() {
        let mut two = args();
        two.stdin = true;
        two.value_fd = Some(0);
        let error = Value::claim(&two, false, false, true).err().unwrap();
        assert_eq!(error.code(), 2);
        assert!(error.hint().unwrap().contains("--value-fd"));

        let password = PasswordArgs {
            password_fd: None,
            password_stdin: true,
        };
        let new = NewPasswordArgs {
            new_password_fd: Some(0),
        };
        let error = Passwords::claim_both(&password, &new, true).err().unwrap();
        assert_eq!(error.code(), 2);
        assert!(error.hint().unwrap().contains("--new-password-fd"));
    }

    #[test]
    fn sources_exclude_each_other() {
        let mut two = args();
        two.stdin = true;
        two.generate = Some(32);
        assert_eq!(
            Value::claim(&two, false, false, true).err().unwrap().code(),
            2
        );
        let mut one = args();
        one.generate = Some(32);
        assert_eq!(
            Value::claim(&one, true, false, true).err().unwrap().code(),
            2
        );
        assert!(Value::claim(&args(), false, true, true).unwrap().is_none());
    }

    #[test]
    fn passwords_are_lines_of_one_stream() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"old\nnew word\n\n").unwrap();
        drop(writer);
        let args = PasswordArgs {
            password_fd: Some(reader.as_raw_fd()),
            password_stdin: false,
        };
        let mut passwords =
            Passwords::claim_both(&args, &NewPasswordArgs::default(), true).unwrap();
        assert_eq!(passwords.current("x").unwrap().expose(), b"old");
        assert_eq!(passwords.fresh("x").unwrap().expose(), b"new word");
        assert_eq!(passwords.current("x").unwrap_err().code(), 2, "empty");
        let error = passwords.current("x").unwrap_err();
        assert!(error.to_string().contains("ended before"));
    }

    #[test]
    fn without_a_source_and_without_asking() {
        let args = PasswordArgs::default();
        let mut passwords = Passwords::claim(&args, true).unwrap();
        let error = passwords.current("x").unwrap_err();
        assert_eq!(error.code(), 2);
        assert_eq!(error.hint(), Some(NO_PASSWORD));
        assert_eq!(passwords.fresh("x").unwrap_err().code(), 2);
    }

    #[test]
    fn a_password_has_its_limits() {
        assert!(checked(Zeroizing::new(vec![b'x'; limits::PASSWORD])).is_ok());
        assert!(checked(Zeroizing::new(vec![b'x'; limits::PASSWORD + 1])).is_err());
    }
}
