//! Which way of delivery the arguments name.

use super::{Deliver, folder::Folder, shown::Lines, shown::Pages};
use crate::{
    age,
    cli::shares::DestinationArgs,
    context::Context,
    error::{Error, Result},
    input::one_source,
    output,
    paper::Format,
    stream::Stream,
    terminal::Terminal,
};
use std::path::Path;

/// A file of keys: enough for 255 of the longest.
const RECIPIENTS: usize = 1024 * 1024;

/// The way that the arguments name; `None` if they name none.
pub fn named(context: &Context, args: &DestinationArgs) -> Result<Option<Box<dyn Deliver>>> {
    one_source(&[
        ("--out", args.out.is_some()),
        ("--paper", args.paper.is_some()),
        ("--to", !args.nodes.is_empty()),
        ("--stdout", args.stdout),
    ])?;
    if args.format.is_some() && args.paper.is_none() {
        return Err(Error::usage(
            "--format is for --paper",
            "name the folder with --paper DIR",
        ));
    }
    let encrypted = !args.recipients.is_empty();
    if encrypted && (args.paper.is_some() || !args.nodes.is_empty()) {
        return Err(Error::usage(
            "--recipient encrypts to files or to standard output",
            "--out DIR or --stdout, and neither --paper nor --to",
        ));
    }
    if encrypted && args.out.is_none() && !args.stdout {
        return Err(Error::usage(
            "--recipient says for whom, but not where to",
            "--out DIR writes a file each",
        ));
    }
    if args.stdout {
        if context.json {
            return Err(Error::usage(
                "--stdout and --json can't be used together",
                "a line of --stdout is a share and nothing else",
            ));
        }
        if output::is_terminal() {
            return Err(Error::usage(
                "--stdout would put all shares onto the terminal at once",
                "leave --stdout away, and they are shown one at a time",
            ));
        }
    }
    let holders = holders(&args.recipients)?;
    Ok(if let Some(folder) = &args.out {
        Some(match holders {
            Some(holders) => Box::new(Folder::encrypted(folder, holders)?),
            None => Box::new(Folder::plain(folder)?),
        })
    } else if let Some(folder) = &args.paper {
        let sheet = args.format.unwrap_or(Format::Html);
        Some(Box::new(Folder::sheets(folder, sheet)?))
    } else if !args.nodes.is_empty() {
        Some(super::nodes(context, &args.nodes)?)
    } else if args.stdout {
        Some(Box::new(Lines::new(holders)))
    } else {
        None
    })
}

/// The terminal, for when nothing was named.
pub fn terminal(context: &Context) -> Result<Box<dyn Deliver>> {
    let hint = "--out DIR writes a file each, --stdout a line each";
    if context.json {
        return Err(Error::usage("--json wants to know where shares go", hint));
    }
    if context.no_input {
        return Err(Error::usage(
            "shares are shown after a key press, and --no-input forbids to wait for one",
            hint,
        ));
    }
    if !output::is_terminal() {
        return Err(Error::usage(
            "standard output is not a terminal that could show shares",
            hint,
        ));
    }
    match Terminal::open() {
        Some(terminal) => Ok(Box::new(Pages::new(terminal))),
        None => Err(Error::usage("there is no terminal to show shares on", hint)),
    }
}

/// The holders that the arguments name, themselves or in files.
fn holders(recipients: &[String]) -> Result<Option<Vec<age::Holder>>> {
    if recipients.is_empty() {
        return Ok(None);
    }
    let mut holders = Vec::new();
    for text in recipients {
        // The comment of a key of OpenSSH's may hold a comma.
        let parts: Vec<&str> = if text.starts_with("ssh-") {
            vec![text]
        } else {
            text.split(',').collect()
        };
        for part in parts {
            add(&mut holders, part)?;
        }
    }
    for (i, holder) in holders.iter().enumerate() {
        if let Some(before) = holders[..i].iter().position(|other| other.is(holder)) {
            output::warn(&format!(
                "warning: recipients {} and {} are one and the same, who gets both shares",
                before + 1,
                i + 1
            ));
        }
    }
    Ok(Some(holders))
}

fn add(holders: &mut Vec<age::Holder>, text: &str) -> Result<()> {
    let refused = |what: String| Error::usage(what, age::wanted());
    if ["age1", "ssh-", "AGE-"].iter().any(|p| text.starts_with(p)) {
        let holder = age::Holder::parse(text)
            .map_err(|why| refused(format!("recipient {} {why}", holders.len() + 1)))?;
        holders.push(holder);
        return Ok(());
    }
    let what = format!("the file of recipient {}", holders.len() + 1);
    let failed = |error| Error::Read {
        what: what.clone(),
        error,
    };
    let bytes = Stream::path(Path::new(text))
        .and_then(|mut stream| stream.all(RECIPIENTS + 1))
        .map_err(failed)
        .map_err(|e| e.hinted(age::wanted()))?;
    let text = std::str::from_utf8(&bytes)
        .ok()
        .filter(|text| text.len() <= RECIPIENTS)
        .ok_or_else(|| refused(format!("{what} is not one of keys")))?;
    let found = age::Holder::parse_all(text)
        .map_err(|(line, why)| refused(format!("{what}: line {line} {why}")))?;
    if found.is_empty() {
        return Err(refused(format!("{what} names nobody")));
    }
    holders.extend(found);
    Ok(())
}
