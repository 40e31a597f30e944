//! Every long-lived secret of a vault as bytes, for the tests that search the
//! agent's memory for them. Not part of any build but theirs (feature `inspect`).

use crate::{
    KeyMemory, Result, crypto, kdf,
    objects::{
        entry::Entry,
        epoch,
        epoch::{Epoch, EpochKey},
        kind, node_id, slot,
        slot::{Slot, SlotKdf},
    },
    store::Store,
};
use hpke::Serializable;
use std::path::Path;

/// What each is called, and its 32 bytes.
pub type Secrets = Vec<(&'static str, [u8; 32])>;

/// The secrets behind the password slots of the vault at `path`, which no
/// agent may be serving meanwhile.
pub fn secrets(path: &Path, password: &[u8]) -> Result<Secrets> {
    let store = Store::open(path, "inspection")?;
    let mut found = Secrets::new();
    for (_, object) in store.control(kind::SLOT)? {
        let stored = Slot::parse(&object)?;
        let SlotKdf::Argon2id(params) = stored.kdf else {
            continue;
        };
        let secret = kdf::password(password, &stored.salt, params)?;
        let (private, _) = slot::key_pair(&secret, &stored.vault);
        let node_key = stored.open(&private)?;
        found.push(("slot secret", *secret));
        found.push(("slot private key", private.to_bytes().into()));
        found.push(("node key", *node_key));
        for label in ["sv1/nk/index", "sv1/nk/meta", "sv1/nk/hedge"] {
            found.push((label, *crypto::kdf(node_key.as_slice(), label, &[])?));
        }
        let signing = crypto::kdf::<32>(node_key.as_slice(), "sv1/nk/sign", &[])?;
        let opening = crypto::kdf::<32>(node_key.as_slice(), "sv1/nk/open", &[])?;
        let node = node_id(&crypto::verifying_key(&signing));
        let (private, _) = crypto::key_pair(opening.as_slice());
        found.push(("signing seed", *signing));
        found.push(("opening seed", *opening));
        found.push(("opening private key", private.to_bytes().into()));
        for (id, wrap) in store.control(kind::EPOCH_WRAP)? {
            // Another is for the recovery key.
            if !id.ends_with(&node) {
                continue;
            }
            let (_, key) = epoch::open_wrap(&wrap, &node, &private)?;
            found.push(("epoch key", *key));
            let extracted = crypto::extract(b"sv1/epoch", key.as_slice());
            found.push(("epoch pseudo-random key", *extracted));
        }
    }
    Ok(found)
}

/// How many of the vault's wrapped keys (data keys and epoch keys) these
/// secrets of an earlier state of it open, and how many there are.
pub fn opened(path: &Path, secrets: &Secrets) -> Result<(usize, usize)> {
    let memory = KeyMemory::new(true)?;
    let store = Store::open(path, "inspection")?;
    let named = |name| {
        let of_name = secrets.iter().filter(move |(n, _)| *n == name);
        of_name.map(|(_, secret)| secret)
    };
    let (mut opened, mut all) = (0, 0);
    let mut vault = None;
    for (_, object) in store.control(kind::EPOCH)? {
        if Epoch::parse(&object)?.1.is_genesis() {
            vault = Some(Epoch::vault_id(&object)?);
        }
    }
    let vault = vault.ok_or(crate::Error::Damaged("there is no genesis epoch"))?;
    for bucket in 0..=u16::MAX {
        for (tag, record, entry) in store.entries(bucket, 1_000_000)? {
            for kept in Entry::parse(tag, record, &entry)?.kept {
                all += 1;
                for secret in named("epoch key") {
                    let key = EpochKey::new(&memory, secret)?.wrap_key(&vault, &kept.id)?;
                    let aad = [kept.id.as_slice(), &kept.epoch].concat();
                    opened += usize::from(crypto::unwrap(&key, &aad, &kept.wrap).is_ok());
                }
            }
        }
    }
    for (id, object) in store.control(kind::EPOCH_WRAP)? {
        all += 1;
        let recipient = id[32..]
            .try_into()
            .map_err(|_| crate::Error::Damaged("a wrap has another id"))?;
        for seed in named("opening seed") {
            let (private, _) = crypto::key_pair(seed);
            opened += usize::from(epoch::open_wrap(&object, &recipient, &private).is_ok());
        }
    }
    Ok((opened, all))
}

/// Every wrapped key of the vault: what must be nowhere once it was replaced.
pub fn wrapped(path: &Path) -> Result<Vec<Vec<u8>>> {
    let store = Store::open(path, "inspection")?;
    let mut found = Vec::new();
    for bucket in 0..=u16::MAX {
        for (tag, record, entry) in store.entries(bucket, 1_000_000)? {
            let kept = Entry::parse(tag, record, &entry)?.kept;
            found.extend(kept.into_iter().map(|kept| kept.wrap.to_vec()));
        }
    }
    for kind in [kind::EPOCH_WRAP, kind::SLOT, kind::JOURNAL] {
        // The ciphertext is at the end.
        let ends = store.control(kind)?.into_iter();
        found.extend(ends.map(|(_, object)| object[object.len() - 48..].to_vec()));
    }
    Ok(found)
}
