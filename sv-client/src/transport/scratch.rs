//! The file that the transport's program reads: 0600 in a new 0700 folder, in
//! memory where the system has such a place, and wiped and gone afterwards.

use super::{files::is_plain, random};
use crate::error::{Error, Result};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use std::{
    env,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A folder of our own with at most one file.
pub struct Scratch {
    folder: PathBuf,
    size: usize,
    gone: bool,
}

impl Scratch {
    /// Makes the folder.
    pub fn new() -> Result<Self> {
        let name = format!("sv-{}", random(16)?);
        let mut last = io::Error::other("there is no folder for them");
        for place in places() {
            let folder = place.join(&name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    return Ok(Self {
                        folder,
                        size: 0,
                        gone: false,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.folder.join("file")
    }

    /// Replaces the file.
    pub fn fill(&mut self, bytes: &[u8]) -> Result<()> {
        self.wipe().map_err(failed)?;
        self.size = bytes.len();
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path())
            .and_then(|mut file| file.write_all(bytes))
            .map_err(failed)
    }

    /// Removes everything, and says if that failed.
    pub fn remove(mut self) -> Result<()> {
        self.gone = true;
        self.wipe()
            .and_then(|()| fs::remove_dir(&self.folder))
            .map_err(failed)
    }

    fn wipe(&self) -> io::Result<()> {
        let path = self.path();
        match OpenOptions::new().write(true).open(&path) {
            Ok(mut file) => {
                let zeros = vec![0; self.size.min(64 * 1024)];
                let mut left = self.size;
                while left > 0 {
                    let n = left.min(zeros.len());
                    file.write_all(&zeros[..n])?;
                    left -= n;
                }
                fs::remove_file(&path)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.gone {
            // Another error is on its way and is told instead.
            let _ = self.wipe().and_then(|()| fs::remove_dir(&self.folder));
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::Write {
        what: "a temporary file",
        error,
    }
}

/// Folders whose paths the program takes as they are, those in memory first.
fn places() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let shared = PathBuf::from("/dev/shm");
    let in_memory =
        |place: &PathBuf| statfs(place).is_ok_and(|s| s.filesystem_type() == TMPFS_MAGIC);
    let mut places: Vec<PathBuf> = runtime
        .into_iter()
        .chain([shared])
        .filter(in_memory)
        .collect();
    places.extend([env::temp_dir(), PathBuf::from("/tmp")]);
    let usable = |place: &Path| place.to_str().is_some_and(is_plain);
    places.retain(|place| usable(place));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_reads_it_and_nothing_stays() {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let mut scratch = Scratch::new().unwrap();
        let folder = scratch.folder.clone();
        for content in [&b"one"[..], b"another, longer", b""] {
            scratch.fill(content).unwrap();
            assert_eq!(fs::read(scratch.path()).unwrap(), content);
            assert_eq!(mode(&scratch.path()), 0o600);
            assert_eq!(mode(&folder), 0o700);
        }
        scratch.remove().unwrap();
        assert!(!folder.exists());

        let mut dropped = Scratch::new().unwrap();
        dropped.fill(b"x").unwrap();
        let folder = dropped.folder.clone();
        drop(dropped);
        assert!(!folder.exists());
    }

    #[test]
    fn what_lay_there_is_overwritten() {
        let mut scratch = Scratch::new().unwrap();
        scratch.fill(b"canary").unwrap();
        let mut open = fs::File::open(scratch.path()).unwrap();
        scratch.remove().unwrap();
        let mut left = Vec::new();
        io::Read::read_to_end(&mut open, &mut left).unwrap();
        assert_eq!(left, [0; 6]);
    }
}
