//! The vault's generation, noted outside of the vault: a vault file that was
//! put back from a copy is older than its note. FORMAT.md §14.

use crate::{Error, Result, codec::Write as _, crypto};
use nix::{fcntl::OFlag, unistd::Uid};
use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const MAGIC: [u8; 8] = *b"svGEN\x01\0\0";
/// magic, vault, generation, root
const BODY: usize = 8 + 16 + 8 + 32;
/// … and the MAC
const LENGTH: usize = BODY + 32;

/// The note of one vault. It is looked for anew at each unlocking; while the
/// vault is unlocked the file stays open, so that a commit costs one write.
pub struct Generation {
    dir: PathBuf,
    vault: [u8; 16],
    file: Option<File>,
}

/// What the note says of a vault's present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The state is the one noted, or a later one.
    Fine,
    /// Nothing is noted.
    Missing,
    /// The state is earlier than the one noted.
    Behind {
        /// The generation that was noted.
        recorded: u64,
    },
    /// The state has the generation that was noted, and is another one.
    Fork,
    /// The note can't be read, was changed, or others could have put it there.
    Unreadable,
}

impl Standing {
    /// Whether writing goes on from here as before.
    #[must_use]
    pub const fn allows_writes(self) -> bool {
        matches!(self, Self::Fine | Self::Missing)
    }
}

impl Generation {
    /// The note of `vault` in the folder `dir`, which need not exist yet.
    #[must_use]
    pub fn open(dir: &Path, vault: &[u8; 16]) -> Self {
        Self {
            dir: dir.to_owned(),
            vault: *vault,
            file: None,
        }
    }

    fn path(&self) -> PathBuf {
        let mut name = String::with_capacity(36);
        for byte in self.vault {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        self.dir.join(name + ".gen")
    }

    /// Compares what is noted with a vault's generation and root. `keys` are
    /// the MAC keys of this node, the present one and those before a rotation.
    #[must_use]
    pub fn check(&self, keys: &[&[u8; 32]], generation: u64, root: &[u8; 32]) -> Standing {
        let body = match self.read() {
            Ok(Some(note)) => match self.opened(keys, &note) {
                Some(body) => body,
                None => return Standing::Unreadable,
            },
            Ok(None) => return Standing::Missing,
            Err(_) => return Standing::Unreadable,
        };
        let (recorded, noted_root) = body;
        if recorded > generation {
            Standing::Behind { recorded }
        } else if recorded == generation && noted_root != *root {
            Standing::Fork
        } else {
            Standing::Fine
        }
    }

    /// Generation and root of a note whose MAC is right.
    fn opened(&self, keys: &[&[u8; 32]], note: &[u8; LENGTH]) -> Option<(u64, [u8; 32])> {
        let (body, mac) = note.split_at(BODY);
        if !keys
            .iter()
            .any(|key| crypto::equal(&*authenticate(key, body), mac))
        {
            return None;
        }
        let (head, rest) = body.split_at(24);
        if head[..8] != MAGIC || head[8..] != self.vault {
            return None;
        }
        let (generation, root) = rest.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*generation), root.try_into().ok()?))
    }

    fn read(&self) -> Result<Option<[u8; LENGTH]>> {
        if !check_dir(&self.dir)? {
            return Ok(None);
        }
        let file = match open(&self.path()) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        check_file(&file)?;
        // One byte more shows a file that is too long.
        let mut bytes = Vec::with_capacity(LENGTH + 1);
        (&file).take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
        match bytes.try_into() {
            Ok(note) => Ok(Some(note)),
            Err(_) => Err(Error::Damaged("the generation file has another length")),
        }
    }

    /// Notes a vault's generation and root. Not synced: a note that is lost
    /// with the machine's power is an older one, and no alarm.
    pub fn record(&mut self, key: &[u8; 32], generation: u64, root: &[u8; 32]) -> Result<()> {
        let mut note = Vec::with_capacity(LENGTH);
        note.put(&MAGIC);
        note.put(&self.vault);
        note.put(&generation.to_le_bytes());
        note.put(root);
        let mac = authenticate(key, &note);
        note.put(&*mac);
        // The file may have been taken away, or replaced, under an open vault.
        let path = self.path();
        self.file = self.file.take().filter(|file| is_at(file, &path));
        match &self.file {
            Some(file) => file.write_all_at(&note, 0)?,
            None => self.file = Some(self.create(&note)?),
        }
        Ok(())
    }

    /// Puts a whole file in place, over a damaged one too, and keeps it open.
    fn create(&self, note: &[u8]) -> Result<File> {
        if !check_dir(&self.dir)? {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.dir)?;
            check_dir(&self.dir)?;
        }
        let path = self.path();
        let fresh = path.with_extension("gen.new");
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(note)?;
        // Once in the life of the file: a power loss must not leave it empty,
        // which would look like an attack.
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        Ok(file)
    }
}

fn authenticate(key: &[u8; 32], body: &[u8]) -> crypto::Key32 {
    crypto::hmac(key, &[b"sv1/generation\0", body])
}

/// Whether the folder is there. It must be a real one, ours, and written by
/// nobody else: otherwise what it holds says nothing.
fn check_dir(dir: &Path) -> Result<bool> {
    let shown = dir.display();
    let meta = match fs::symlink_metadata(dir) {
        Ok(meta) => meta,
        // Where there can be no folder there is none.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(false);
        }
        Err(e) => return Err(e.into()),
    };
    if !meta.is_dir() {
        return Err(Error::Insecure(format!("{shown} is not a folder")));
    }
    if meta.uid() != Uid::effective().as_raw() {
        return Err(Error::Insecure(format!(
            "the folder {shown} belongs to another user"
        )));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Error::Insecure(format!(
            "the folder {shown} can be written by others"
        )));
    }
    Ok(true)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        // A pipe in its place must not hang the agent.
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
        .open(path)
}

fn check_file(file: &File) -> Result<()> {
    let meta = file.metadata()?;
    if meta.is_file() && meta.uid() == Uid::effective().as_raw() && meta.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(Error::Insecure(
            "the generation file is not a file of this user alone".into(),
        ))
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let here = file.metadata();
    let there = fs::symlink_metadata(path);
    matches!((here, there), (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const KEY: [u8; 32] = [1; 32];
    const OLD: [u8; 32] = [2; 32];
    const VAULT: [u8; 16] = [0xab; 16];
    const ROOT: [u8; 32] = [7; 32];

    fn noted(dir: &Path) -> Generation {
        let mut note = Generation::open(dir, &VAULT);
        note.record(&KEY, 5, &ROOT).unwrap();
        note
    }

    #[test]
    fn what_a_note_says() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/sv");
        let mut note = Generation::open(&state, &VAULT);
        assert_eq!(note.check(&[&KEY], 1, &ROOT), Standing::Missing);
        note.record(&KEY, 5, &ROOT).unwrap();
        for (generation, root, standing) in [
            (5, ROOT, Standing::Fine),
            (6, ROOT, Standing::Fine),
            (6, [8; 32], Standing::Fine),
            (5, [8; 32], Standing::Fork),
            (4, ROOT, Standing::Behind { recorded: 5 }),
        ] {
            assert_eq!(note.check(&[&KEY], generation, &root), standing);
        }
        // A key from before a rotation still counts, a foreign one never.
        assert_eq!(note.check(&[&OLD, &KEY], 5, &ROOT), Standing::Fine);
        assert_eq!(note.check(&[&OLD], 5, &ROOT), Standing::Unreadable);
        note.record(&OLD, 6, &[9; 32]).unwrap();
        assert_eq!(note.check(&[&OLD], 6, &[9; 32]), Standing::Fine);
        // Another vault's note is another file.
        let other = Generation::open(&state, &[1; 16]);
        assert_eq!(other.check(&[&KEY], 9, &ROOT), Standing::Missing);

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&note.path()), 0o600);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let note = noted(dir.path());
        let whole = fs::read(note.path()).unwrap();
        assert_eq!(whole.len(), LENGTH);
        for at in 0..LENGTH {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(note.path(), &changed).unwrap();
            assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Unreadable, "{at}");
        }
        for length in [0, 1, LENGTH - 1] {
            fs::write(note.path(), &whole[..length]).unwrap();
            assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Unreadable);
        }
        fs::write(note.path(), [&whole[..], b"x"].concat()).unwrap();
        assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Unreadable);
        fs::write(note.path(), &whole).unwrap();
        assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Fine);
    }

    #[test]
    fn a_file_that_was_taken_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut note = noted(dir.path());
        fs::remove_file(note.path()).unwrap();
        note.record(&KEY, 6, &ROOT).unwrap();
        assert_eq!(
            note.check(&[&KEY], 5, &ROOT),
            Standing::Behind { recorded: 6 }
        );
        fs::write(note.path(), b"garbage").unwrap();
        fs::remove_file(note.path()).unwrap();
        fs::write(note.path(), b"other").unwrap();
        note.record(&KEY, 7, &ROOT).unwrap();
        assert_eq!(note.check(&[&KEY], 7, &ROOT), Standing::Fine);
    }

    #[test]
    fn folders_and_files_of_others_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        let mut note = noted(&real);
        let link = dir.path().join("link");
        symlink(&real, &link).unwrap();
        let mut linked = Generation::open(&link, &VAULT);
        assert_eq!(linked.check(&[&KEY], 5, &ROOT), Standing::Unreadable);
        assert!(matches!(
            linked.record(&KEY, 6, &ROOT),
            Err(Error::Insecure(_))
        ));

        fs::set_permissions(&real, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Unreadable);
        fs::set_permissions(&real, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Fine);

        let away = real.join("away");
        fs::rename(note.path(), &away).unwrap();
        symlink(&away, note.path()).unwrap();
        assert_eq!(note.check(&[&KEY], 5, &ROOT), Standing::Unreadable);
        // Healed by the next note, and the link's target is left alone.
        note.record(&KEY, 9, &ROOT).unwrap();
        assert_eq!(note.check(&[&KEY], 9, &ROOT), Standing::Fine);
        assert_eq!(fs::read(&away).unwrap().len(), LENGTH);
    }
}
