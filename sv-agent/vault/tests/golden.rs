//! A vault of each released format opens for ever. `SV_BLESS=1` makes the
//! present format's anew, which is right only before its release.

use std::path::Path;
use sv_vault_core::{
    Change, Fields, Filter, KdfParams, KeyMemory, Locked, NewSlot, Result, SlotKind, Vault,
};

const PASSWORD: &[u8] = "pässword\u{1f511}".as_bytes();

fn fill(vault: &mut Vault) -> Result<()> {
    let fields = Fields {
        category: "api".into(),
        tags: vec!["one".into(), "two".into()],
        note: "a note".into(),
        expires: 4_102_444_800_000,
    };
    vault.add("service/key", b"first", &fields, 1_700_000_000_000)?;
    let change = Change {
        note: Some("another note".into()),
        ..Change::default()
    };
    vault.update(
        "service/key",
        Some(b"second"),
        &change,
        None,
        1_700_000_001_000,
    )?;
    vault.add(
        "bytes",
        &[0, 255, 10, 0],
        &Fields::default(),
        1_700_000_002_000,
    )?;
    vault.add("old name", b"moved", &Fields::default(), 1_700_000_003_000)?;
    vault.rename("old name", "new/näme", 1_700_000_004_000)?;
    vault.add("gone", b"deleted", &Fields::default(), 1_700_000_005_000)?;
    vault.delete("gone", false, 1_700_000_006_000)?;
    vault.add("large", &[7; 5000], &Fields::default(), 1_700_000_007_000)?;
    Ok(())
}

#[test]
fn version_1() -> Result<()> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.sv");
    let memory = KeyMemory::new(false)?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("vault.sv");
    if std::env::var_os("SV_BLESS").is_some() {
        let slot = NewSlot::derive(PASSWORD, KdfParams::default(), &memory)?;
        let mut vault = Vault::create(&path, "golden", slot, &memory)?;
        fill(&mut vault)?;
        drop(vault.lock());
        std::fs::copy(&path, &golden)?;
    }
    std::fs::copy(&golden, &path)?;

    let mut locked = Locked::open(&path, "test")?;
    let key = locked
        .challenge()?
        .derive(SlotKind::Password, PASSWORD, &memory)?;
    let mut vault = locked.unlock(key, &memory).map_err(|(_, e)| e)?;
    assert_eq!(&*vault.get("service/key", None)?, b"second");
    assert_eq!(&*vault.get("service/key", Some(1))?, b"first");
    assert_eq!(&*vault.get("bytes", None)?, &[0, 255, 10, 0]);
    assert_eq!(&*vault.get("new/näme", None)?, b"moved");
    assert_eq!(&*vault.get("large", None)?, &[7; 5000]);
    assert!(vault.get("gone", None).is_err());
    assert_eq!(&*vault.get("gone", Some(1))?, b"deleted");

    let item = vault.show("service/key", None)?;
    assert_eq!((item.rev, item.size), (2, 6));
    assert_eq!(
        (item.created, item.updated),
        (1_700_000_000_000, 1_700_000_001_000)
    );
    assert_eq!(item.fields.category, "api");
    assert_eq!(item.fields.tags, ["one", "two"]);
    assert_eq!(item.fields.note, "another note");
    assert_eq!(item.fields.expires, 4_102_444_800_000);
    let names: Vec<String> = vault
        .history("new/näme")?
        .into_iter()
        .map(|r| r.name)
        .collect();
    assert_eq!(names, ["new/näme", "old name"]);

    while !vault.load_names(100)? {}
    let all = Filter::Search { words: Vec::new() };
    let names: Vec<String> = vault
        .list(&all, None, usize::MAX)?
        .0
        .into_iter()
        .map(|i| i.name)
        .collect();
    assert_eq!(names, ["bytes", "large", "new/näme", "service/key"]);

    let mut state = vault.verify();
    while !vault.verify_step(&mut state, 100)? {}
    assert_eq!(state.problems, [""; 0]);
    assert_eq!((state.secrets, state.revisions), (4, 8));

    // And it can be written.
    vault.update("bytes", Some(b"new"), &Change::default(), None, 1)?;
    assert_eq!(&*vault.get("bytes", None)?, b"new");
    Ok(())
}
