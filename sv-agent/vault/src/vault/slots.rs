//! From a password or key file to the node key, and back.

use super::{Vault, control::Changes};
use crate::{
    Error, KdfParams, KeyMemory, Result, crypto, kdf,
    keymem::Key,
    limits,
    objects::{
        kind, slot,
        slot::{Slot, SlotKdf, SlotKind},
    },
    store::Store,
    sys,
};

/// The slots of a vault, for deriving a key away from it: a derivation takes
/// a tenth of a second and 64 MiB.
#[derive(Clone)]
pub struct Challenge(Vec<Slot>);

/// A derived key that opens one slot.
pub struct SlotKey {
    secret: Key,
    slot: [u8; 16],
}

/// A derived key for a slot that does not exist yet.
pub struct NewSlot {
    secret: Key,
    salt: [u8; 32],
    kind: SlotKind,
    label: String,
    kdf: SlotKdf,
}

/// A slot, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    /// Its id.
    pub id: [u8; 16],
    /// What opens it.
    pub kind: SlotKind,
    /// What it is called.
    pub label: String,
}

impl Challenge {
    pub(super) fn read(store: &Store) -> Result<Self> {
        let slots = read(store)?;
        if slots.is_empty() {
            return Err(Error::NoSlot);
        }
        Ok(Self(slots))
    }

    /// Derives a key from `secret` for each slot of its kind until one fits.
    /// [`Error::WrongPassword`] if none does.
    pub fn derive(&self, kind: SlotKind, secret: &[u8], memory: &KeyMemory) -> Result<SlotKey> {
        let result = self.try_each(kind, secret, memory);
        sys::scrub_stack();
        result
    }

    fn try_each(&self, kind: SlotKind, secret: &[u8], memory: &KeyMemory) -> Result<SlotKey> {
        for slot in self.0.iter().filter(|slot| slot.kind == kind) {
            let mut secret = stretch(secret, &slot.salt, slot.kdf)?;
            let (_, public) = slot::key_pair(&secret, &slot.vault);
            if crypto::equal(&public, &slot.public) {
                return Ok(SlotKey {
                    secret: memory.store(&mut secret)?,
                    slot: slot.id,
                });
            }
        }
        Err(match kind {
            SlotKind::Password => Error::WrongPassword,
            SlotKind::KeyFile | SlotKind::Credential => Error::WrongKey,
        })
    }

    /// The node key in the slot that `key` opens.
    pub(super) fn open(&self, key: &SlotKey) -> Result<(crypto::Key32, &Slot)> {
        let slot = self
            .0
            .iter()
            .find(|s| s.id == key.slot)
            .ok_or(Error::WrongPassword)?;
        let (private, public) = slot::key_pair(key.secret.expose(), &slot.vault);
        if !crypto::equal(&public, &slot.public) {
            return Err(Error::WrongPassword);
        }
        Ok((slot.open(&private)?, slot))
    }

    /// Which slot `key` opens.
    pub(super) fn info(&self, key: &SlotKey) -> Option<SlotInfo> {
        self.0.iter().find(|s| s.id == key.slot).map(info)
    }
}

fn info(slot: &Slot) -> SlotInfo {
    SlotInfo {
        id: slot.id,
        kind: slot.kind,
        label: slot.label.clone(),
    }
}

/// All slots, checked as far as that needs no key.
pub(super) fn read(store: &Store) -> Result<Vec<Slot>> {
    let all = store.control(kind::SLOT)?;
    if all.len() > limits::SLOTS {
        return Err(Error::Damaged("too many slots"));
    }
    all.iter()
        .map(|(id, object)| {
            let slot = Slot::parse(object)?;
            if slot.id.as_slice() == id.as_slice() {
                Ok(slot)
            } else {
                Err(Error::Damaged("a slot is in another's place"))
            }
        })
        .collect()
}

fn stretch(secret: &[u8], salt: &[u8; 32], kdf: SlotKdf) -> Result<crypto::Key32> {
    match kdf {
        SlotKdf::Argon2id(params) => kdf::password(secret, salt, params),
        SlotKdf::Hkdf => slot::from_key_file(secret, salt),
    }
}

impl SlotKey {
    pub(super) const fn slot(&self) -> &[u8; 16] {
        &self.slot
    }
}

impl NewSlot {
    /// Derives a key from `password` with a fresh salt.
    pub fn derive(password: &[u8], params: KdfParams, memory: &KeyMemory) -> Result<Self> {
        if !params.in_bounds() {
            return Err(Error::BadKdf);
        }
        let kdf = SlotKdf::Argon2id(params);
        Self::make(SlotKind::Password, "password", password, kdf, memory)
    }

    /// The same from a key file or credential.
    pub fn from_file(kind: SlotKind, content: &[u8], memory: &KeyMemory) -> Result<Self> {
        if kind == SlotKind::Password || !limits::KEY_FILE.contains(&content.len()) {
            return Err(Error::Usage("a key file has 32 to 4096 bytes"));
        }
        let label = match kind {
            SlotKind::Credential => "credential",
            _ => "key file",
        };
        Self::make(kind, label, content, SlotKdf::Hkdf, memory)
    }

    fn make(
        kind: SlotKind,
        label: &str,
        secret: &[u8],
        kdf: SlotKdf,
        memory: &KeyMemory,
    ) -> Result<Self> {
        let salt = *crypto::random::<32>()?;
        let mut secret = stretch(secret, &salt, kdf)?;
        let secret = memory.store(&mut secret);
        sys::scrub_stack();
        Ok(Self {
            secret: secret?,
            salt,
            kind,
            label: label.to_owned(),
            kdf,
        })
    }

    /// The same slot under another name.
    #[must_use]
    pub fn labelled(mut self, label: &str) -> Self {
        if !label.is_empty() {
            label.clone_into(&mut self.label);
        }
        self
    }

    /// The slot's id and object, holding `node_key`. It is opened on trial
    /// before it is returned.
    pub(super) fn seal(
        &self,
        hedge: &[u8; 32],
        vault: &[u8; 16],
        node: &[u8; 16],
        node_key: &[u8; 32],
    ) -> Result<([u8; 16], Vec<u8>)> {
        if self.label.len() > limits::LABEL || self.label.chars().any(char::is_control) {
            return Err(Error::Usage(
                "a label has at most 64 bytes, no control characters",
            ));
        }
        let id = *crypto::random::<16>()?;
        let (private, public) = slot::key_pair(self.secret.expose(), vault);
        let object = slot::seal(
            hedge,
            &slot::NewSlot {
                vault,
                node,
                id: &id,
                kind: self.kind,
                label: &self.label,
                kdf: self.kdf,
                salt: &self.salt,
                public: &public,
            },
            node_key,
        )?;
        let opened = Slot::parse(&object)?.open(&private)?;
        if !crypto::equal(opened.as_slice(), node_key) {
            return Err(Error::System("a new slot does not open".into()));
        }
        Ok((id, object))
    }
}

impl Vault {
    /// What a password is tried against.
    pub fn challenge(&mut self) -> Result<Challenge> {
        self.ready()?;
        Challenge::read(&self.store)
    }

    /// This node's slots.
    pub fn slots(&mut self) -> Result<Vec<SlotInfo>> {
        self.ready()?;
        Ok(read(&self.store)?.iter().map(info).collect())
    }

    /// Replaces the slot that `old` opened by `new`. Nothing else changes, and
    /// whoever has a copy of the file from before opens it with the old password.
    pub fn change_password(&mut self, old: &SlotKey, new: NewSlot) -> Result<()> {
        let result = self.replace_slot(old, new);
        sys::scrub_stack();
        result?;
        // Until the WAL is empty, the old slot is still on the disk.
        self.store.truncate().map_err(|e| {
            let why = match e {
                Error::Storage(why) => why,
                e => e.to_string(),
            };
            Error::Storage(format!(
                "the password is changed, but its old slot is not erased yet: {why}"
            ))
        })
    }

    fn replace_slot(&mut self, old: &SlotKey, new: NewSlot) -> Result<()> {
        // The old password must still open its slot.
        let challenge = self.challenge()?;
        challenge.open(old)?;
        let new = match challenge.info(old) {
            Some(slot) => new.labelled(&slot.label),
            None => new,
        };
        let (id, object) = self.seal_slot(&new)?;
        let mut changes = Changes::default();
        changes.remove(kind::SLOT, old.slot());
        changes.set(kind::SLOT, &id, object);
        self.change_control(&changes, true)
    }

    fn seal_slot(&self, new: &NewSlot) -> Result<([u8; 16], Vec<u8>)> {
        new.seal(
            self.keys.hedge.expose(),
            &self.manifest.vault,
            &self.keys.node,
            self.keys.node_key.expose(),
        )
    }

    /// One more slot; `present` proves that one of them can be opened.
    pub fn add_slot(&mut self, present: &SlotKey, new: &NewSlot) -> Result<()> {
        let result = self.insert_slot(present, new);
        sys::scrub_stack();
        result
    }

    fn insert_slot(&mut self, present: &SlotKey, new: &NewSlot) -> Result<()> {
        let challenge = self.challenge()?;
        challenge.open(present)?;
        if challenge.0.len() >= limits::SLOTS {
            return Err(Error::Usage(
                "a vault has at most 16 slots; remove one first",
            ));
        }
        let (id, object) = self.seal_slot(new)?;
        let mut changes = Changes::default();
        changes.set(kind::SLOT, &id, object);
        self.change_control(&changes, false)
    }

    /// One slot less. The last one goes only if shares can still open the vault.
    pub fn remove_slot(&mut self, id: &[u8; 16]) -> Result<()> {
        self.ready()?;
        let slots = read(&self.store)?;
        if !slots.iter().any(|slot| slot.id == *id) {
            return Err(Error::NoSuchSlot);
        }
        if slots.len() == 1 && self.epochs.current.recovery.is_none() {
            return Err(Error::Usage(
                "this is the last slot, and no shares could open the vault without it",
            ));
        }
        let mut changes = Changes::default();
        changes.remove(kind::SLOT, id);
        self.change_control(&changes, true)
    }
}
