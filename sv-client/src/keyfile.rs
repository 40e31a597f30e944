//! Key files and systemd credentials: what opens a slot without a person.

use crate::{
    error::{Error, Result},
    stream::Stream,
};
use nix::fcntl::OFlag;
use std::{
    fs::OpenOptions,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use sv_proto::{
    limits,
    message::{Key, KeyKind},
};

const MAKE: &str = "make one with: head -c 32 /dev/urandom >PATH; chmod 600 PATH";

/// The key that one of two options names.
pub fn named(keyfile: Option<&Path>, credential: Option<&str>) -> Result<Option<Key>> {
    match (keyfile, credential) {
        (Some(path), _) => of_file(path).map(Some),
        (None, Some(name)) => of_credential(name).map(Some),
        (None, None) => Ok(None),
    }
}

/// The content of a key file that nobody else can read.
fn of_file(path: &Path) -> Result<Key> {
    read(path, "the key file", KeyKind::KeyFile)
}

/// A credential that systemd put into the folder of this service.
fn of_credential(name: &str) -> Result<Key> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Error::usage(
            "a credential's name is a name, not a path",
            "as in LoadCredentialEncrypted=NAME of the unit",
        ));
    }
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|v| !v.is_empty());
    let Some(folder) = folder.map(PathBuf::from) else {
        return Err(Error::usage(
            "there are no credentials: CREDENTIALS_DIRECTORY is not set",
            "systemd sets it for a service with LoadCredentialEncrypted=",
        ));
    };
    read(&folder.join(name), "the credential", KeyKind::Credential)
}

fn read(path: &Path, what: &str, kind: KeyKind) -> Result<Key> {
    let failed = |error| Error::Read {
        what: format!("{what} {}", path.display()),
        error,
    };
    // Not blocking: a named pipe is no key file.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(failed)?;
    let info = file.metadata().map_err(failed)?;
    if !info.is_file() {
        return Err(Error::usage(
            format!("{what} {} is not a regular file", path.display()),
            MAKE,
        ));
    }
    // Who may read a credential is for systemd to say, by other means than the mode.
    if kind == KeyKind::KeyFile && info.permissions().mode() & 0o077 != 0 {
        return Err(
            Error::Refused(format!("{what} {} is open to others", path.display()))
                .hinted(format!("chmod 600 {}", path.display())),
        );
    }
    let most = *limits::KEY_FILE.end();
    let bytes = Stream::File(file).all(most + 1).map_err(failed)?;
    if !limits::KEY_FILE.contains(&bytes.len()) {
        return Err(Error::usage(
            format!(
                "{what} {} does not have {} to {most} bytes",
                path.display(),
                limits::KEY_FILE.start()
            ),
            MAKE,
        ));
    }
    Ok(Key {
        kind,
        secret: bytes.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_file_is_private_regular_and_of_the_right_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let with = |bytes: &[u8], mode: u32| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            of_file(&path)
        };
        for length in [32, 4096] {
            let key = with(&vec![7; length], 0o600).unwrap();
            assert_eq!(key.kind, KeyKind::KeyFile);
            assert_eq!(key.secret.expose(), vec![7; length]);
        }
        for length in [0, 31, 4097] {
            assert_eq!(with(&vec![7; length], 0o600).unwrap_err().code(), 2);
        }
        for mode in [0o640, 0o604, 0o622, 0o777] {
            let error = with(&[7; 32], mode).unwrap_err();
            assert_eq!(error.code(), 7);
            assert!(error.hint().unwrap().starts_with("chmod 600"));
        }
        with(&[7; 32], 0o400).unwrap();
        assert_eq!(of_file(dir.path()).unwrap_err().code(), 2);
        assert_eq!(of_file(&dir.path().join("none")).unwrap_err().code(), 2);
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(of_file(&pipe).unwrap_err().code(), 2);
    }

    #[test]
    fn a_credential_is_named_not_pointed_at() {
        for name in ["", ".", "..", "../key", "/etc/shadow"] {
            assert_eq!(of_credential(name).unwrap_err().code(), 2, "{name:?}");
        }
    }
}
