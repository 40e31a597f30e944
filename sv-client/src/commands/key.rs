//! `sv key`: the bare tools for any key. Needs no agent and no vault.

use super::finished;
use crate::{
    cli::key::{CombineArgs, Encoding, KeyCommand, OutputArgs, SplitArgs},
    context::Context,
    error::{Error, Result, reason},
    file,
    gather::{self, Found},
    input,
    json::Object,
    output,
    stream::Stream,
};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use std::{
    fs::{self, DirBuilder},
    io::{self, IsTerminal},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use sv_proto::Kind;
use sv_shares::{Parsed, Share, bare, keys};
use zeroize::Zeroizing;

/// Bytes of a key that is made: 256 bits.
const LENGTH: usize = 32;

/// The longest key in hexadecimal digits, a line break of two characters, and one
/// byte that shows that it is too much.
const INPUT: usize = 2 * *sv_shares::limits::KEY.end() + 3;

/// Runs it.
pub fn run(context: &Context, command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Generate(args) => generate(context, &args),
        KeyCommand::Split(args) => split(context, &args),
        KeyCommand::Combine(args) => combine(context, &args),
    }
}

fn generate(context: &Context, args: &OutputArgs) -> Result<()> {
    check(context, args)?;
    let mut key = Zeroizing::new([0; LENGTH]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| Error::Random)?;
    give(context, args, key.as_slice())
}

fn combine(context: &Context, args: &CombineArgs) -> Result<()> {
    check(context, &args.output)?;
    let identities = gather::identities(&args.identities)?;
    let stdin = [PathBuf::from("-")];
    let files = match args.files.as_slice() {
        // One prompt could not take them all.
        [] if io::stdin().is_terminal() => {
            return Err(Error::usage(
                "no shares were named",
                "name the files with shares, or give them on standard input",
            ));
        }
        [] => &stdin,
        files => files,
    };
    let found = gather::files(context, files, &identities)?;
    let bares = found.iter().filter(|f| bare::looks_like(f.text.expose()));
    let key = match bares.count() {
        0 => enveloped(&found, args.threshold)?,
        n if n == found.len() => bares_of(&found, args.threshold)?,
        _ => {
            return Err(Error::agent(
                Kind::WrongShare,
                "some shares have an envelope and some have none: they are of different sets",
            ));
        }
    };
    give(context, &args.output, &key)
}

fn enveloped(found: &[Found], threshold: Option<u8>) -> Result<Zeroizing<Vec<u8>>> {
    let mut shares = Vec::with_capacity(found.len());
    for Found { what, text } in found {
        let share = match Share::parse(text.expose()) {
            Ok(Parsed::Share(share)) => share,
            Ok(Parsed::Words(_)) => return Err(of_a_vault()),
            Err(error) => return Err(gather::told(error).about(what)),
        };
        if share.header().vault != keys::NO_VAULT {
            return Err(of_a_vault());
        }
        let needed = share.header().threshold;
        if threshold.is_some_and(|threshold| threshold != needed) {
            return Err(Error::usage(
                format!("{needed} of these shares give the key, as they say themselves"),
                "leave --threshold away",
            ));
        }
        shares.push(share);
    }
    keys::combine(&shares).map_err(gather::told)
}

fn of_a_vault() -> Error {
    let message = "the share is one of a vault's recovery key";
    Error::agent(Kind::WrongShare, message).hinted("sv recover opens that vault")
}

fn bares_of(found: &[Found], threshold: Option<u8>) -> Result<Zeroizing<Vec<u8>>> {
    let mut shares = Vec::with_capacity(found.len());
    for Found { what, text } in found {
        let share = bare::parse(text.expose());
        shares.push(share.map_err(|error| gather::told(error).about(what))?);
    }
    let key = bare::combine(&shares, threshold).map_err(gather::told)?;
    if threshold.is_none() {
        output::warn(
            "warning: nothing tells whether these shares are enough; too few give a wrong key",
        );
        output::warn("hint: --threshold K finds that out");
    }
    Ok(key)
}

/// Refuses before a key is made of what could not be given out.
fn check(context: &Context, args: &OutputArgs) -> Result<()> {
    if let Some(path) = &args.out {
        if path.as_os_str() == "-" {
            return Err(Error::usage(
                "--out wants a file",
                "leave --out away for standard output",
            ));
        }
        return match fs::symlink_metadata(path) {
            Ok(_) => Err(exists(path)),
            Err(_) => Ok(()),
        };
    }
    if context.json && args.encoding == Encoding::Raw {
        return Err(Error::usage(
            "a raw key has no place in a JSON document",
            "--encoding hex or base64, or --out FILE",
        ));
    }
    if output::is_terminal() && !args.print {
        return Err(Error::usage(
            "standard output is a terminal, which keeps what it shows",
            "--out FILE, or --print if it is to be shown",
        ));
    }
    Ok(())
}

fn give(context: &Context, args: &OutputArgs, key: &[u8]) -> Result<()> {
    let mut text = encoded(key, args.encoding);
    if let Some(path) = &args.out {
        file::create(path, &text).map_err(|error| unwritable(path, error))?;
        return finished(context, &format!("wrote {}", path.display()));
    }
    if context.json {
        text.pop();
        let mut object = Object::with_room(4 * text.len());
        let text = std::str::from_utf8(&text).map_err(|_| Error::NotText)?;
        object.text("key", text);
        return output::stdout(&object.line());
    }
    let raw = args.encoding == Encoding::Raw;
    output::stdout(&text)?;
    if raw && output::is_terminal() {
        output::stdout(b"\n")?;
    }
    Ok(())
}

/// A line, or the bytes.
fn encoded(key: &[u8], encoding: Encoding) -> Zeroizing<Vec<u8>> {
    let encoding = match encoding {
        Encoding::Hex => HEXLOWER,
        Encoding::Base64 => BASE64,
        Encoding::Raw => return Zeroizing::new(key.to_vec()),
    };
    let length = encoding.encode_len(key.len());
    let mut text = Zeroizing::new(vec![b'\n'; length + 1]);
    if let Some(text) = text.get_mut(..length) {
        encoding.encode_mut(key, text);
    }
    text
}

fn decoded(text: Zeroizing<Vec<u8>>, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>> {
    let (encoding, name) = match encoding {
        Encoding::Hex => (HEXLOWER_PERMISSIVE, "hexadecimal digits"),
        Encoding::Base64 => (BASE64, "base64"),
        Encoding::Raw => return Ok(text),
    };
    let wrong = || {
        Error::usage(
            format!("the key is not a line of {name}"),
            "--encoding hex, base64 or raw says how it is written",
        )
    };
    let text = text.trim_ascii();
    let length = encoding.decode_len(text.len()).map_err(|_| wrong())?;
    let mut key = Zeroizing::new(vec![0; length]);
    let length = encoding.decode_mut(text, &mut key).map_err(|_| wrong())?;
    key.truncate(length);
    Ok(key)
}

fn split(context: &Context, args: &SplitArgs) -> Result<()> {
    if args.threshold > args.shares {
        return Err(Error::usage(
            "the threshold is larger than the number of shares",
            "as in --shares 5 --threshold 3",
        ));
    }
    if args.out.is_none() {
        if context.json {
            return Err(Error::usage(
                "a line of standard output is a share and nothing else",
                "--json goes with --out DIR",
            ));
        }
        if output::is_terminal() {
            return Err(Error::usage(
                "standard output is a terminal, which would keep all shares together",
                "--out DIR writes a file each",
            ));
        }
    }
    let key = decoded(read(context, args.file.as_deref())?, args.encoding)?;
    let shares = match args.bare {
        false => keys::split(&key, args.threshold, args.shares),
        true => bare::split(&key, args.threshold, args.shares),
    };
    let shares = shares.map_err(|error| gather::told(error).hinted("sv key split --help"))?;
    let text = |share: &Share| {
        let text = match args.bare {
            false => share.to_text(),
            true => bare::format(share),
        };
        let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        line
    };
    let Some(folder) = &args.out else {
        return shares.iter().try_for_each(|s| output::stdout(&text(s)));
    };
    let ending = if args.bare { "txt" } else { "sv" };
    let files: Vec<_> = shares
        .iter()
        .map(|share| {
            let name = format!("share-{}-of-{}.{ending}", share.index(), args.shares);
            (folder.join(name), text(share))
        })
        .collect();
    write_all(folder, &files)?;
    if context.json {
        let mut object = Object::new();
        let paths = files.iter().map(|(path, _)| path.display().to_string());
        object.number("shares", u64::from(args.shares));
        object.number("threshold", u64::from(args.threshold));
        object.texts("files", &paths.collect::<Vec<_>>());
        return output::stdout(&object.line());
    }
    let shares = output::count(u64::from(args.shares), "share");
    output::note(&format!(
        "wrote {shares} into {}; any {} give the key",
        folder.display(),
        args.threshold
    ));
    Ok(())
}

fn read(context: &Context, path: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
    let path = path.filter(|path| path.as_os_str() != "-");
    let what = match path {
        Some(path) => path.display().to_string(),
        None => "standard input".to_owned(),
    };
    let hint = "name the file with the key, or give it on standard input";
    let bytes = match path {
        Some(path) => Stream::path(path).and_then(|mut s| s.all(INPUT)),
        None if io::stdin().is_terminal() => {
            return input::terminal(context.no_input, "a key", hint)?.hidden("Key", INPUT);
        }
        None => Stream::Stdin.all(INPUT),
    };
    let bytes = bytes.map_err(|error| Error::Read { what, error })?;
    if bytes.len() == INPUT {
        return Err(Error::usage("a key to split has 16 to 64 bytes", hint));
    }
    Ok(bytes)
}

/// All files or none. A signal waits until that is decided.
fn write_all(folder: &Path, files: &[(PathBuf, Zeroizing<Vec<u8>>)]) -> Result<()> {
    // Before anything is written, so that the common mistake leaves no trace.
    if let Some((path, _)) = files.iter().find(|(p, _)| p.symlink_metadata().is_ok()) {
        return Err(exists(path));
    }
    let mask = SigSet::from_iter([
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ])
    .thread_swap_mask(SigmaskHow::SIG_BLOCK)
    .map_err(|e| unwritable(folder, e.into()))?;
    let result = write_unblocked(folder, files);
    mask.thread_set_mask()
        .map_err(|e| unwritable(folder, e.into()))?;
    result
}

fn write_unblocked(folder: &Path, files: &[(PathBuf, Zeroizing<Vec<u8>>)]) -> Result<()> {
    let made = match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(unwritable(folder, error)),
    };
    for (done, (path, text)) in files.iter().enumerate() {
        if let Err(error) = file::create(path, text) {
            // Those of this call only; the first error is told.
            for (path, _) in files.iter().take(done) {
                let _ = fs::remove_file(path);
            }
            if made {
                let _ = fs::remove_dir(folder);
            }
            return Err(unwritable(path, error));
        }
    }
    Ok(())
}

fn exists(path: &Path) -> Error {
    let message = format!("{} exists already", path.display());
    Error::agent(Kind::Exists, &message).hinted("nothing is overwritten; choose another name")
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    let message = format!("can't write {}: {}", path.display(), reason(&error));
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        // A name that leads nowhere is a mistake in the arguments.
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::PermissionDenied => {
            Error::usage(message, "name a folder that can be written to")
        }
        _ => Error::agent(Kind::Storage, &message),
    }
}
