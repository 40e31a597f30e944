//! A file for each share, in one folder.

use super::{Deliver, Holder, Parcel, assign};
use crate::{
    age,
    error::{Error, Result, reason},
    file,
    paper::{self, Format},
};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};
use sv_proto::{Kind, Secret, limits, message::HolderKind, span};
use zeroize::Zeroizing;

/// What a file holds.
enum Content {
    /// The share as a line.
    Plain,
    /// The same, for one holder alone.
    Encrypted(Vec<age::Holder>),
    /// A page to print.
    Sheet(Format),
}

/// A folder that takes a file a share.
pub struct Folder {
    path: PathBuf,
    content: Content,
    /// Which holder gets which share.
    holders: Vec<(u8, usize)>,
}

impl Folder {
    /// Shares as they are.
    pub fn plain(path: &Path) -> Result<Self> {
        Self::new(path, Content::Plain)
    }

    /// Each for its holder.
    pub fn encrypted(path: &Path, holders: Vec<age::Holder>) -> Result<Self> {
        Self::new(path, Content::Encrypted(holders))
    }

    /// Each on a sheet.
    pub fn sheets(path: &Path, sheet: Format) -> Result<Self> {
        Self::new(path, Content::Sheet(sheet))
    }

    fn new(path: &Path, content: Content) -> Result<Self> {
        if path.as_os_str().is_empty() || path == Path::new("-") {
            return Err(Error::usage(
                "shares want a folder to be written into",
                "--stdout writes them to standard output",
            ));
        }
        // Where the shares are is remembered, whatever folder the reader stands in.
        let path = std::path::absolute(path).map_err(|error| Error::Read {
            what: "the current folder".to_owned(),
            error,
        })?;
        Ok(Self {
            path,
            content,
            holders: Vec::new(),
        })
    }

    fn target(&self, index: u8, count: u8) -> PathBuf {
        let ending = match self.content {
            Content::Plain => "sv",
            Content::Encrypted(_) => "age",
            Content::Sheet(format) => format.extension(),
        };
        self.path.join(format!("share-{index}-of-{count}.{ending}"))
    }

    /// A file that has the same content already is as good.
    fn put(path: &Path, content: &[u8]) -> Result<()> {
        match file::create(path, content) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && file::is(path, content) => Ok(()),
            other => other.map_err(|e| unwritable(path, e)),
        }
    }

    fn content(&self, parcel: &Parcel<'_>) -> Result<Zeroizing<Vec<u8>>> {
        match &self.content {
            Content::Plain => Ok(line(parcel.text)),
            Content::Encrypted(holders) => {
                let holder = chosen(holders, &self.holders, parcel.index)?;
                holder.encrypt(&line(parcel.text)).map(Zeroizing::new)
            }
            Content::Sheet(sheet) => page(parcel, *sheet),
        }
    }
}

/// The sheet of a share.
fn page(parcel: &Parcel<'_>, format: Format) -> Result<Zeroizing<Vec<u8>>> {
    let hex = |id: &[u8]| data_encoding::HEXLOWER.encode(id);
    let dealt = span::rfc3339(parcel.dealing.dealt);
    let share = parcel.parsed()?;
    let sheet = paper::Sheet {
        vault_name: parcel.vault,
        vault: &hex(&parcel.dealing.vault),
        set: &hex(&parcel.dealing.set),
        index: parcel.index,
        count: parcel.dealing.count,
        threshold: parcel.dealing.threshold,
        date: dealt.split('T').next().unwrap_or_default(),
        words: &share.to_words(),
        line: &share.to_text(),
    };
    paper::sheet(format, &sheet)
}

/// Puts a share that came from elsewhere into a file of its name; gives its path.
/// The folder is made if need be, and no other file is replaced.
pub fn keep(folder: &Path, index: u8, count: u8, text: &Secret) -> Result<PathBuf> {
    let mut target = Folder::plain(folder)?;
    target.prepare(&[index], count, false)?;
    let path = target.target(index, count);
    Folder::put(&path, &line(text))?;
    Ok(path)
}

/// The holder of a share.
pub(super) fn chosen<'a>(
    holders: &'a [age::Holder],
    assigned: &[(u8, usize)],
    index: u8,
) -> Result<&'a age::Holder> {
    let found = assigned.iter().find(|(i, _)| *i == index);
    found
        .and_then(|(_, at)| holders.get(*at))
        .ok_or_else(|| Error::agent(Kind::Internal, "a share without a holder"))
}

/// Which holder gets which share, or why that can't be.
pub(super) fn assigned(holders: usize, indices: &[u8], count: u8) -> Result<Vec<(u8, usize)>> {
    assign(holders, indices, count).ok_or_else(|| {
        Error::usage(
            format!(
                "{} can't be encrypted to {}",
                crate::output::count(indices.len() as u64, "share"),
                crate::output::count(holders as u64, "recipient")
            ),
            "name as many recipients as shares",
        )
    })
}

/// A share and a newline.
pub(super) fn line(text: &Secret) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    line.extend_from_slice(text.expose());
    line.push(b'\n');
    line
}

/// The last bytes of a path are what tells it from others.
fn name_of(path: &Path) -> String {
    let text = path.display().to_string();
    let mut start = text.len().saturating_sub(limits::HOLDER);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

/// The first bytes of a key or of its comment.
pub(super) fn label_of(holder: &age::Holder) -> String {
    let label = &holder.label;
    let mut end = label.len().min(limits::HOLDER);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    label[..end].to_owned()
}

fn exists(path: &Path) -> Error {
    let message = format!("{} exists already", path.display());
    Error::agent(Kind::Exists, &message).hinted("name another folder, or move that file away")
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    let what = path.display().to_string();
    match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        // What is wrong with the arguments; see the exit codes.
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::PermissionDenied => Error::usage(
            format!("can't write {what}: {}", reason(&error)),
            "name a folder that can be written to",
        ),
        _ => Error::agent(
            Kind::Storage,
            &format!("can't write {what}: {}", reason(&error)),
        ),
    }
}

impl Deliver for Folder {
    fn count(&self) -> Option<usize> {
        match &self.content {
            Content::Encrypted(holders) => Some(holders.len()),
            Content::Plain | Content::Sheet(_) => None,
        }
    }

    fn prepare(&mut self, indices: &[u8], count: u8, fresh: bool) -> Result<()> {
        if let Content::Encrypted(holders) = &self.content {
            self.holders = assigned(holders.len(), indices, count)?;
        }
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(|e| unwritable(&self.path, e))?,
        }
        for index in indices {
            let path = self.target(*index, count);
            match fs::symlink_metadata(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(unwritable(&path, e)),
                // After an interruption it may be the very share; that is
                // seen once it is at hand.
                Ok(_) if !fresh && matches!(self.content, Content::Plain) => {}
                Ok(_) => return Err(exists(&path)),
            }
        }
        file::probe(&self.path).map_err(|e| unwritable(&self.path, e))
    }

    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Holder> {
        let path = self.target(parcel.index, parcel.dealing.count);
        let content = self.content(parcel)?;
        Self::put(&path, &content)?;
        Ok(match &self.content {
            Content::Plain => Holder {
                kind: HolderKind::File,
                name: name_of(&path),
            },
            Content::Encrypted(holders) => Holder {
                kind: HolderKind::Recipient,
                name: label_of(chosen(holders, &self.holders, parcel.index)?),
            },
            Content::Sheet(_) => Holder {
                kind: HolderKind::Paper,
                name: name_of(&path),
            },
        })
    }
}
