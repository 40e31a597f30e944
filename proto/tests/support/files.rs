//! The committed vectors.

use std::{collections::BTreeMap, fs, path::PathBuf};

/// `tests/frames/` of the workspace.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/frames"))
}

/// Reads a committed file.
pub fn read(path: &str) -> Vec<u8> {
    let path = folder().join(path);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Compares the files of `sub` with `wanted`, byte for byte and without a file
/// too many. With `SV_BLESS=1` it writes them first: after a deliberate
/// change only, and never for a released version of the protocol.
pub fn compare(sub: &str, wanted: &BTreeMap<String, Vec<u8>>) {
    let dir = folder().join(sub);
    let bless = std::env::var_os("SV_BLESS").is_some_and(|v| v == "1");
    if bless {
        fs::create_dir_all(&dir).unwrap();
        for entry in fs::read_dir(&dir).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, bytes) in wanted {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
    let mut found: Vec<String> = fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let names: Vec<_> = wanted.keys().cloned().collect();
    assert_eq!(found, names, "the files of {}", dir.display());
    for (name, bytes) in wanted {
        let committed = fs::read(dir.join(name)).unwrap();
        assert!(
            committed == *bytes,
            "{sub}/{name} differs from what this crate writes:\n  file {}\n  now  {}",
            data_encoding::HEXLOWER.encode(&committed),
            data_encoding::HEXLOWER.encode(bytes),
        );
    }
}
