//! From a password to the node key, and back.

use crate::{
    Error, KdfParams, KeyMemory, Result, crypto, kdf,
    keymem::Key,
    objects::{kind, slot, slot::Slot},
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
    params: KdfParams,
}

impl Challenge {
    pub(super) fn read(store: &Store) -> Result<Self> {
        let slots: Vec<Slot> = store
            .control(kind::SLOT)?
            .iter()
            .map(|(id, object)| {
                let slot = Slot::parse(object)?;
                if slot.id.as_slice() == id.as_slice() {
                    Ok(slot)
                } else {
                    Err(Error::Damaged("a slot is in another's place"))
                }
            })
            .collect::<Result<_>>()?;
        if slots.is_empty() {
            return Err(Error::Damaged("the vault has no slot"));
        }
        Ok(Self(slots))
    }

    /// Derives a key from `password` for each slot until one fits.
    /// [`Error::WrongPassword`] if none does.
    pub fn derive(&self, password: &[u8], memory: &KeyMemory) -> Result<SlotKey> {
        for slot in &self.0 {
            let mut secret = kdf::password(password, &slot.salt, slot.params)?;
            let (_, public) = slot::key_pair(&secret, &slot.vault);
            if crypto::equal(&public, &slot.public) {
                let secret = memory.store(&mut secret)?;
                sys::scrub_stack();
                return Ok(SlotKey {
                    secret,
                    slot: slot.id,
                });
            }
        }
        sys::scrub_stack();
        Err(Error::WrongPassword)
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
        let salt = *crypto::random::<32>()?;
        let mut secret = kdf::password(password, &salt, params)?;
        Ok(Self {
            secret: memory.store(&mut secret)?,
            salt,
            params,
        })
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
        let id = *crypto::random::<16>()?;
        let (private, public) = slot::key_pair(self.secret.expose(), vault);
        let object = slot::seal(
            hedge,
            &slot::NewSlot {
                vault,
                node,
                id: &id,
                params: self.params,
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
