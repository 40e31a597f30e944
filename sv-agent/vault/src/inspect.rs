//! Every long-lived secret of a vault as bytes, for the tests that search the
//! agent's memory for them. Not part of any build but theirs (feature `inspect`).

use crate::{
    Result, crypto, kdf,
    objects::{epoch, kind, node_id, slot, slot::Slot},
    store::Store,
};
use hpke::Serializable;
use std::path::Path;

/// What each is called, and its 32 bytes.
pub type Secrets = Vec<(&'static str, [u8; 32])>;

/// The secrets behind the first slot of the vault at `path`, which no agent
/// may be serving meanwhile.
pub fn secrets(path: &Path, password: &[u8]) -> Result<Secrets> {
    let store = Store::open(path, "inspection")?;
    let mut found = Secrets::new();
    for (_, object) in store.control(kind::SLOT)? {
        let stored = Slot::parse(&object)?;
        let secret = kdf::password(password, &stored.salt, stored.params)?;
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
        for (_, wrap) in store.control(kind::EPOCH_WRAP)? {
            let (_, key) = epoch::open_wrap(&wrap, &node, &private)?;
            found.push(("epoch key", *key));
            let extracted = crypto::extract(b"sv1/epoch", key.as_slice());
            found.push(("epoch pseudo-random key", *extracted));
        }
    }
    Ok(found)
}
