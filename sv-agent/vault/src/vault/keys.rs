//! The keys of an unlocked vault, all in key memory, and what they open.

use crate::{
    Error, KeyMemory, Result, crypto,
    keymem::Key,
    objects::{
        EpochId, NameTag, NodeId, RevisionId, VaultId,
        entry::MetadataKeys,
        epoch,
        epoch::{Epoch, EpochKey, Member},
        kind,
        manifest::{self, Manifest},
        node_id,
    },
    store::Store,
};
use std::collections::HashMap;

/// The keys of this node.
pub struct NodeKeys {
    pub node: NodeId,
    pub node_key: Key,
    pub signing: Key,
    pub signing_public: [u8; 32],
    pub hedge: Key,
    index: Key,
    meta: Key,
}

impl NodeKeys {
    /// All that the node key gives but the opening key, which is needed once.
    pub fn derive(memory: &KeyMemory, node_key: &mut [u8; 32]) -> Result<Self> {
        let derive = |label| crypto::derive_key(memory, node_key, label, &[]);
        let signing = derive("sv1/nk/sign")?;
        let signing_public = crypto::verifying_key(signing.expose());
        Ok(Self {
            node: node_id(&signing_public),
            hedge: derive("sv1/nk/hedge")?,
            index: derive("sv1/nk/index")?,
            meta: derive("sv1/nk/meta")?,
            signing,
            signing_public,
            node_key: memory.store(node_key)?,
        })
    }

    /// The key pair that epochs are wrapped to.
    pub fn opening(&self) -> Result<(crypto::PrivateKey, [u8; 32])> {
        let ikm = crypto::kdf::<32>(self.node_key.expose(), "sv1/nk/open", &[])?;
        let (private, public) = crypto::key_pair(ikm.as_slice());
        Ok((private, crypto::public_bytes(&public)))
    }

    /// Where a name is found.
    pub fn tag(&self, vault: &VaultId, name: &str) -> NameTag {
        let parts: [&[u8]; 3] = [b"sv1/tag\0", vault, name.as_bytes()];
        *crypto::hmac(self.index.expose(), &parts)
    }

    /// What metadata is encrypted under.
    pub fn metadata<'a>(&'a self, vault: &'a VaultId) -> MetadataKeys<'a> {
        MetadataKeys {
            key: self.meta.expose(),
            vault,
        }
    }
}

/// The epochs that this node has keys of, and everyone who may write.
pub struct Epochs {
    pub head: EpochId,
    pub number: u64,
    keys: HashMap<EpochId, EpochKey>,
    authors: HashMap<NodeId, [u8; 32]>,
}

impl Epochs {
    /// A vault's first epoch, with this node as its only member: the vault's
    /// id, the epoch, and the objects for `control`.
    pub fn found(memory: &KeyMemory, keys: &NodeKeys) -> Result<(VaultId, Self, Founding)> {
        let (_, opening) = keys.opening()?;
        let member = Member {
            signing: keys.signing_public,
            opening,
            role: epoch::ADMIN,
            name: String::new(),
        };
        let fresh = crypto::random::<32>()?;
        let hedge = keys.hedge.expose();
        let secret = crypto::hmac(hedge, &[b"sv1/hedge/epoch\0", fresh.as_slice()]);
        let key = EpochKey::new(memory, &secret)?;
        let genesis = Epoch {
            vault: [0; 16],
            number: 1,
            parents: Vec::new(),
            commitment: *key.commitment(&[0; 16])?,
            recovery: None,
            members: vec![member.clone()],
            revoked: Vec::new(),
            signer: keys.node,
        };
        let (id, object) = genesis.seal(keys.signing.expose())?;
        let vault = Epoch::vault_id(&object)?;
        let wrap = epoch::seal_wrap(hedge, &id, &member, &secret)?;
        let epochs = Self {
            head: id,
            number: 1,
            keys: HashMap::from([(id, key)]),
            authors: HashMap::from([(keys.node, keys.signing_public)]),
        };
        let founding = Founding {
            wrap_id: epoch::wrap_control_id(&id, &keys.node),
            epoch: object,
            wrap,
        };
        Ok((vault, epochs, founding))
    }

    /// Reads the control objects, which the manifest must cover, and opens
    /// every epoch that is wrapped to this node.
    pub fn open(
        memory: &KeyMemory,
        keys: &NodeKeys,
        store: &Store,
        manifest: &Manifest,
    ) -> Result<Self> {
        if control_digest(store)? != manifest.control {
            return Err(Error::Damaged("the epochs are not those of the manifest"));
        }
        let mut epochs = HashMap::new();
        for (control_id, object) in store.control(kind::EPOCH)? {
            let (id, epoch) = Epoch::parse(&object)?;
            let ours = if epoch.is_genesis() {
                Epoch::vault_id(&object)? == manifest.vault
            } else {
                epoch.vault == manifest.vault
            };
            if id.as_slice() != control_id.as_slice() || !ours {
                return Err(Error::Damaged("an epoch is of another vault"));
            }
            epochs.insert(id, epoch);
        }
        let head = epochs
            .get(&manifest.epoch)
            .ok_or(Error::Damaged("the current epoch is missing"))?;
        let number = head.number;
        if !head
            .members
            .iter()
            .any(|m| m.signing == keys.signing_public)
        {
            return Err(Error::Damaged("this node is no member of its vault"));
        }
        let (private, _) = keys.opening()?;
        let mut open = HashMap::new();
        for (control_id, object) in store.control(kind::EPOCH_WRAP)? {
            if !control_id.ends_with(&keys.node) {
                continue;
            }
            let (id, secret) = epoch::open_wrap(&object, &keys.node, &private)?;
            let epoch = epochs
                .get(&id)
                .ok_or(Error::Damaged("a wrap is of an unknown epoch"))?;
            let key = EpochKey::new(memory, &secret)?;
            if !crypto::equal(&*key.commitment(&epoch.vault)?, &epoch.commitment) {
                return Err(Error::Damaged("an epoch key is not the one committed to"));
            }
            open.insert(id, key);
        }
        if !open.contains_key(&manifest.epoch) {
            return Err(Error::Damaged(
                "the current epoch is not wrapped to this node",
            ));
        }
        let authors = epochs
            .values()
            .flat_map(|e| &e.members)
            .map(|m| (node_id(&m.signing), m.signing))
            .collect();
        Ok(Self {
            head: manifest.epoch,
            number,
            keys: open,
            authors,
        })
    }

    /// Wraps the DEK of a revision under the current epoch.
    pub fn wrap(&self, vault: &VaultId, id: &RevisionId, dek: &[u8; 32]) -> Result<[u8; 48]> {
        let key = self.key(&self.head)?.wrap_key(vault, id)?;
        crypto::wrap(&key, &[id.as_slice(), &self.head].concat(), dek)
    }

    /// The DEK of a revision.
    pub fn unwrap(
        &self,
        vault: &VaultId,
        id: &RevisionId,
        epoch: &EpochId,
        wrap: &[u8; 48],
    ) -> Result<crypto::Key32> {
        let key = self.key(epoch)?.wrap_key(vault, id)?;
        crypto::unwrap(&key, &[id.as_slice(), epoch].concat(), wrap)
    }

    /// The signing key of a node that was ever a member.
    pub fn author(&self, node: &NodeId) -> Result<&[u8; 32]> {
        self.authors
            .get(node)
            .ok_or(Error::Damaged("a revision is of no member"))
    }

    fn key(&self, epoch: &EpochId) -> Result<&EpochKey> {
        self.keys
            .get(epoch)
            .ok_or(Error::Damaged("a key is wrapped under an unknown epoch"))
    }
}

/// The control objects of a new vault.
pub struct Founding {
    pub epoch: Vec<u8>,
    pub wrap_id: Vec<u8>,
    pub wrap: Vec<u8>,
}

impl Founding {
    /// What the manifest says of them.
    pub fn digest(&self) -> [u8; 32] {
        let objects = [self.epoch.as_slice(), &self.wrap];
        manifest::digest(CONTROL, objects.into_iter())
    }
}

const CONTROL: &str = "sv1/control";
const SLOTS: &str = "sv1/slots";

/// The digest of the stored epochs and wraps.
pub fn control_digest(store: &Store) -> Result<[u8; 32]> {
    let mut all = store.control(kind::EPOCH)?;
    all.extend(store.control(kind::EPOCH_WRAP)?);
    let objects = all.iter().map(|(_, object)| object.as_slice());
    Ok(manifest::digest(CONTROL, objects))
}

/// The digest of the stored slots.
pub fn slots_digest(store: &Store) -> Result<[u8; 32]> {
    let all = store.control(kind::SLOT)?;
    Ok(slots_digest_of(
        all.iter().map(|(_, object)| object.as_slice()),
    ))
}

/// The digest of these slots.
pub fn slots_digest_of<'a>(objects: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    manifest::digest(SLOTS, objects)
}
