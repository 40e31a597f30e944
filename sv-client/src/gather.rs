//! Where shares come from: files, standard input, prompts.

use crate::{
    age::{self, Identities},
    connect::Patience,
    context::Context,
    error::{Error, Result},
    input,
    stream::Stream,
};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};
use sv_proto::{Kind, Request, Response, Secret, limits, message::ShareInfo};
use sv_shares::Share;
use zeroize::Zeroizing;

/// A file of shares: 255 of them as words, and remarks.
const FILE: usize = 1024 * 1024;

/// A file of private keys.
const IDENTITY: usize = 64 * 1024;

/// A share, and what to call it in messages.
pub struct Found {
    /// The file, and which of its shares.
    pub what: String,
    /// The share as it was written.
    pub text: Secret,
}

/// What the crate for shares tells, as a failure of this program.
#[must_use]
pub fn told(error: sv_shares::Error) -> Error {
    let kind = match error {
        _ if error.is_damage() => Kind::BadShare,
        _ if error.is_misfit() => Kind::WrongShare,
        sv_shares::Error::Version(_) => Kind::Version,
        sv_shares::Error::Random => return Error::Random,
        _ => Kind::Usage,
    };
    Error::agent(kind, &error.to_string())
}

/// The private keys that the arguments name.
pub fn identities(paths: &[PathBuf]) -> Result<Identities> {
    let mut identities = Identities::default();
    for path in paths {
        let what = || format!("the identity {}", path.display());
        let bytes = Stream::path(path)
            .and_then(|mut stream| stream.all(IDENTITY + 1))
            .map_err(|error| Error::Read {
                what: what(),
                error,
            })?;
        let refused = |why| {
            Error::usage(
                format!("{} {why}", what()),
                "name a file of age-keygen's, or an ssh-ed25519 key without a passphrase",
            )
        };
        if bytes.len() > IDENTITY {
            return Err(refused("is too large to be one"));
        }
        identities.add(&bytes).map_err(refused)?;
    }
    Ok(identities)
}

/// Whether one of the files is standard input, for [`input::one_consumer`].
#[must_use]
pub fn claims_stdin(files: &[PathBuf]) -> bool {
    files.iter().any(|file| file.as_os_str() == "-")
}

/// The shares of several files. Standard input may be among them once.
pub fn files(context: &Context, paths: &[PathBuf], keys: &Identities) -> Result<Vec<Found>> {
    if paths.iter().filter(|p| p.as_os_str() == "-").count() > 1 {
        return Err(Error::usage(
            "standard input was named twice",
            "it may hold several shares, one a line",
        ));
    }
    let mut found = Vec::new();
    for path in paths {
        found.extend(file(context, path, keys)?);
    }
    Ok(found)
}

/// The shares of a file, of which there is at least one.
pub fn file(context: &Context, path: &Path, keys: &Identities) -> Result<Vec<Found>> {
    let stdin = path.as_os_str() == "-";
    let what = if stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    if stdin && std::io::stdin().is_terminal() {
        let terminal = input::terminal(context.no_input, "a share", NO_SHARE)?;
        let text = terminal.hidden("Share", limits::SHARE)?.into();
        return Ok(vec![Found { what, text }]);
    }
    if looks_like_a_share(&what) && !path.exists() {
        return Err(Error::usage(
            "a share is never an argument: others can read those",
            NO_SHARE,
        ));
    }
    let stream = if stdin {
        Stream::descriptor(0)
    } else {
        Stream::path(path)
    };
    let bytes = stream
        .and_then(|mut stream| stream.all(FILE + 1))
        .map_err(|error| Error::Read {
            what: what.clone(),
            error,
        })?;
    let none = |why: &str| Error::agent(Kind::BadShare, why).about(&what);
    if bytes.len() > FILE {
        return Err(none("this is too large to be a share"));
    }
    let bytes = if !age::is_encrypted(&bytes) {
        bytes
    } else if keys.is_empty() {
        return Err(Error::usage(
            format!("{what} is encrypted to its holder"),
            "name the holder's private key with --identity FILE",
        ));
    } else {
        keys.decrypt(&bytes).map_err(|e| e.about(&what))?
    };
    let pieces = sv_shares::pieces(&bytes);
    let several = pieces.len() > 1;
    let mut found = Vec::new();
    for (i, piece) in pieces.into_iter().enumerate() {
        let what = if several {
            format!("{what}, share {}", i + 1)
        } else {
            what.clone()
        };
        let piece = piece.trim_ascii();
        if piece.len() > limits::SHARE {
            return Err(Error::agent(Kind::BadShare, "this is not a share").about(what));
        }
        let text = Secret::new(piece.to_vec());
        found.push(Found { what, text });
    }
    if found.is_empty() {
        return Err(none("there is no share in it"));
    }
    Ok(found)
}

/// Somebody took the share itself for the name of its file.
fn looks_like_a_share(name: &str) -> bool {
    let beginning = name.get(..7).unwrap_or_default();
    beginning.eq_ignore_ascii_case("svshare") && name.len() > 64
}

const NO_SHARE: &str = "name files with shares, or - for standard input";

/// Shares that the agent found whole, and of the set in force.
#[derive(Default)]
pub struct Checked {
    shares: Vec<(ShareInfo, String, Secret)>,
}

impl Checked {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many are needed; unknown before the first.
    #[must_use]
    pub fn threshold(&self) -> Option<usize> {
        let (info, ..) = self.shares.first()?;
        Some(usize::from(info.threshold))
    }

    /// Their numbers, sorted.
    #[must_use]
    pub fn indices(&self) -> Vec<u8> {
        let mut indices: Vec<u8> = self.shares.iter().map(|(info, ..)| info.index).collect();
        indices.sort_unstable();
        indices
    }

    /// The set that they are of.
    #[must_use]
    pub fn set(&self) -> Option<[u8; 16]> {
        self.shares.first().map(|(info, ..)| info.set)
    }

    /// Has the agent check one.
    pub fn add(&mut self, context: &Context, found: Found) -> Result<()> {
        let Found { what, text } = found;
        let info = check(context, &text).map_err(|e| e.about(&what))?;
        let wrong = |why: String| Error::agent(Kind::WrongShare, &why).about(&what);
        if let Some((_, before, _)) = self.shares.iter().find(|(i, ..)| i.index == info.index) {
            let why = format!("share {} was given before, in {before}", info.index);
            return Err(wrong(why));
        }
        if self.set().is_some_and(|set| set != info.set) {
            return Err(wrong("the share is of another set than the others".into()));
        }
        self.shares.push((info, what, text));
        Ok(())
    }

    /// As many as are needed, if there are.
    pub fn enough(mut self) -> Result<Vec<Secret>> {
        let needed = self.threshold().unwrap_or(usize::MAX);
        if self.shares.len() < needed {
            let have = crate::output::count(self.shares.len() as u64, "share");
            let verb = if self.shares.len() == 1 { "is" } else { "are" };
            return Err(Error::agent(
                Kind::WrongShare,
                &format!("{have} {verb} there, and {needed} are needed"),
            )
            .hinted("name more of them, or none to be asked for each"));
        }
        self.shares.truncate(needed);
        Ok(self.shares.into_iter().map(|(_, _, text)| text).collect())
    }
}

fn check(context: &Context, text: &Secret) -> Result<ShareInfo> {
    let share = Secret::new(text.expose().to_vec());
    let request = Request::ShareCheck { share };
    match context.connect()?.call(request, Patience::Short)? {
        Response::Share(info) => Ok(info),
        _ => Err(Error::Malformed("an answer to something else")),
    }
}

/// As many shares as are needed: from the files, or else asked for one by one.
pub fn enough(context: &Context, paths: &[PathBuf], keys: &Identities) -> Result<Checked> {
    let mut checked = Checked::new();
    if paths.is_empty() {
        prompted(context, &mut checked)?;
    }
    for found in files(context, paths, keys)? {
        checked.add(context, found)?;
    }
    Ok(checked)
}

/// Asks until there are enough. What is wrong with a share is told, and it is
/// asked for again.
fn prompted(context: &Context, checked: &mut Checked) -> Result<()> {
    let terminal = input::terminal(context.no_input, "a share", NO_SHARE)?;
    let mut number = 1;
    while checked.threshold().is_none_or(|needed| number <= needed) {
        let what = match checked.threshold() {
            Some(needed) => format!("Share {number} of {needed}"),
            None => format!("Share {number}"),
        };
        let text = terminal.hidden(&what, limits::SHARE)?;
        match typed(context, checked, &what, text) {
            Ok(()) => {
                number += 1;
                if let (2, Some(needed)) = (number, checked.threshold()) {
                    terminal.say(&format!("It is whole. {needed} shares are needed."))?;
                }
            }
            Err(Rejected::Because(why)) => terminal.say(&sentence(&why))?,
            Err(Rejected::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

enum Rejected {
    Because(String),
    Failed(Error),
}

fn typed(
    context: &Context,
    checked: &mut Checked,
    what: &str,
    text: Zeroizing<Vec<u8>>,
) -> std::result::Result<(), Rejected> {
    if text.trim_ascii().is_empty() {
        let why = "Type or paste a share, a line or its words; ^C ends.";
        return Err(Rejected::Because(why.to_owned()));
    }
    if text.len() > limits::SHARE {
        let why = "This is too long to be a share.";
        return Err(Rejected::Because(why.to_owned()));
    }
    // Only the person who types may see which word was meant.
    if let Err(error) = Share::parse(&text)
        && let Some(word) = error.suggestion()
    {
        let why = format!("{error}; was it {word}? Type the share again.");
        return Err(Rejected::Because(why));
    }
    let found = Found {
        what: what.to_owned(),
        text: text.into(),
    };
    match checked.add(context, found) {
        Ok(()) => Ok(()),
        Err(error) => match error.told() {
            Some(Kind::BadShare | Kind::WrongShare | Kind::Usage) => Err(Rejected::Because(
                format!("{}. Type it again, or another one.", own_words(&error)),
            )),
            _ => Err(Rejected::Failed(error)),
        },
    }
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
}

/// What the agent said, without the name of the prompt before it.
fn own_words(error: &Error) -> String {
    match error {
        Error::With { error, .. } => own_words(error),
        other => other.to_string(),
    }
}
