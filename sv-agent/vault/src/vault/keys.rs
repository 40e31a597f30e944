//! The keys of an unlocked vault, all in key memory, and what they open.

use super::chain::{self, Chain};
use crate::{
    Error, KeyMemory, Result, crypto,
    keymem::Key,
    objects::{
        EpochId, NameTag, NodeId, RevisionId, VaultId,
        entry::MetadataKeys,
        epoch,
        epoch::{Epoch, EpochKey, Member, Recovery},
        kind,
        manifest::{self, Manifest},
        node_id,
    },
    store::{Control, Store},
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

    /// This node as a member.
    pub fn member(&self, role: u8, name: String) -> Result<Member> {
        let (_, opening) = self.opening()?;
        Ok(Member {
            signing: self.signing_public,
            opening,
            role,
            name,
        })
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
    /// The epoch in force.
    pub current: Epoch,
    keys: HashMap<EpochId, EpochKey>,
    authors: HashMap<NodeId, [u8; 32]>,
}

/// Control objects, each with its type.
pub type Typed = Vec<(u8, Control)>;

/// A new epoch, not stored yet.
pub struct Successor {
    pub id: EpochId,
    pub epoch: Epoch,
    pub key: EpochKey,
    /// The epoch and its wraps, by type.
    pub objects: Typed,
}

/// What a new epoch says.
pub struct Succession {
    pub vault: VaultId,
    pub number: u64,
    pub parents: Vec<EpochId>,
    pub members: Vec<Member>,
    pub recovery: Option<Recovery>,
}

impl Succession {
    /// Makes the epoch with a fresh key, wrapped to each member and to the
    /// recovery key, signed by `signer` with `seed`.
    pub fn seal(
        mut self,
        memory: &KeyMemory,
        hedge: &[u8; 32],
        signer: NodeId,
        seed: &[u8; 32],
    ) -> Result<Successor> {
        let fresh = crypto::random::<32>()?;
        let secret = crypto::hmac(hedge, &[b"sv1/hedge/epoch\0", fresh.as_slice()]);
        let key = EpochKey::new(memory, &secret)?;
        self.members.sort_by_key(|m| m.signing);
        let epoch = Epoch {
            vault: self.vault,
            number: self.number,
            parents: self.parents,
            commitment: *key.commitment(&self.vault)?,
            recovery: self.recovery,
            members: self.members,
            revoked: Vec::new(),
            signer,
        };
        let (id, object) = epoch.seal(seed)?;
        let mut objects = vec![(kind::EPOCH, (id.to_vec(), object))];
        let members = epoch
            .members
            .iter()
            .map(|m| (node_id(&m.signing), m.opening));
        let recovery = epoch.recovery.iter().map(|r| (r.id(), r.opening));
        for (recipient, opening) in members.chain(recovery) {
            let wrap = epoch::seal_wrap(hedge, &id, &recipient, &opening, &secret)?;
            let control = (epoch::wrap_control_id(&id, &recipient), wrap);
            objects.push((kind::EPOCH_WRAP, control));
        }
        Ok(Successor {
            id,
            epoch,
            key,
            objects,
        })
    }
}

impl Epochs {
    /// A vault's first epoch, with this node as its only member: the vault's
    /// id, the epoch, and the objects for `control`.
    pub fn found(memory: &KeyMemory, keys: &NodeKeys) -> Result<(VaultId, Self, Typed)> {
        let genesis = Succession {
            vault: [0; 16],
            number: 1,
            parents: Vec::new(),
            members: vec![keys.member(epoch::ADMIN, String::new())?],
            recovery: None,
        };
        let made = genesis.seal(
            memory,
            keys.hedge.expose(),
            keys.node,
            keys.signing.expose(),
        )?;
        let (_, (_, object)) = made.objects.first().ok_or(MISSING)?;
        let vault = Epoch::vault_id(object)?;
        let epochs = Self {
            head: made.id,
            current: made.epoch,
            keys: HashMap::from([(made.id, made.key)]),
            authors: HashMap::from([(keys.node, keys.signing_public)]),
        };
        Ok((vault, epochs, made.objects))
    }

    /// Opens every epoch that is wrapped to this node. The manifest must cover
    /// the control objects, and this node must be a member.
    pub fn open(
        memory: &KeyMemory,
        keys: &NodeKeys,
        store: &Store,
        manifest: &Manifest,
    ) -> Result<Self> {
        let chain = Chain::read(store)?;
        let head = chain.get(&manifest.epoch).ok_or(MISSING)?;
        if head.member(&keys.node).is_none() {
            return Err(Error::Damaged("this node is no member of its vault"));
        }
        let (private, _) = keys.opening()?;
        Self::open_as(memory, chain, &keys.node, &private, store, manifest)
    }

    /// Opens every epoch that is wrapped to `recipient`: a member, or the
    /// recovery key.
    pub fn open_as(
        memory: &KeyMemory,
        chain: Chain,
        recipient: &NodeId,
        private: &crypto::PrivateKey,
        store: &Store,
        manifest: &Manifest,
    ) -> Result<Self> {
        if chain.vault != manifest.vault {
            return Err(Error::Damaged("an epoch is of another vault"));
        }
        if control_digest(store)? != manifest.control {
            return Err(Error::Damaged("the epochs are not those of the manifest"));
        }
        let mut open = HashMap::new();
        for (control_id, object) in store.control(kind::EPOCH_WRAP)? {
            if !control_id.ends_with(recipient) {
                continue;
            }
            let (id, secret) = epoch::open_wrap(&object, recipient, private)?;
            let epoch = chain
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
                "the current epoch is not wrapped to this key",
            ));
        }
        Ok(Self {
            head: manifest.epoch,
            current: chain.get(&manifest.epoch).ok_or(MISSING)?.clone(),
            keys: open,
            authors: chain.into_authors(),
        })
    }

    /// Takes `next` into force; keys of earlier epochs are forgotten, and
    /// everyone who ever wrote stays known.
    pub fn succeed(&mut self, next: Successor) {
        let members = next.epoch.members.iter();
        let known = members.map(|m| (node_id(&m.signing), m.signing));
        self.authors.extend(known);
        self.keys = HashMap::from([(next.id, next.key)]);
        self.head = next.id;
        self.current = next.epoch;
    }

    /// Knows these as authors as well.
    pub fn know(&mut self, authors: HashMap<NodeId, [u8; 32]>) {
        self.authors.extend(authors);
    }

    /// Whether the key of an epoch is at hand.
    pub fn has(&self, epoch: &EpochId) -> bool {
        self.keys.contains_key(epoch)
    }

    /// Wraps the DEK of a revision under the current epoch.
    pub fn wrap(&self, vault: &VaultId, id: &RevisionId, dek: &[u8; 32]) -> Result<[u8; 48]> {
        wrap(self.key(&self.head)?, &self.head, vault, id, dek)
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
        chain::author(&self.authors, node)
    }

    /// The key of an epoch.
    pub fn key(&self, epoch: &EpochId) -> Result<&EpochKey> {
        self.keys
            .get(epoch)
            .ok_or(Error::Damaged("a key is wrapped under an unknown epoch"))
    }
}

const MISSING: Error = Error::Damaged("the current epoch is missing");

/// Wraps the DEK of a revision under an epoch.
pub fn wrap(
    key: &EpochKey,
    epoch: &EpochId,
    vault: &VaultId,
    id: &RevisionId,
    dek: &[u8; 32],
) -> Result<[u8; 48]> {
    let wrapping = key.wrap_key(vault, id)?;
    crypto::wrap(&wrapping, &[id.as_slice(), epoch].concat(), dek)
}

const CONTROL: &str = "sv1/control";
const SLOTS: &str = "sv1/slots";

/// The types that the control digest covers: all but slots, which have a
/// digest of their own, and the audit outbox, which is chained.
pub const DIGESTED: [u8; 5] = [
    kind::EPOCH,
    kind::EPOCH_WRAP,
    kind::SHARE_SET,
    kind::LOCAL,
    kind::JOURNAL,
];

/// The digest of the stored control objects.
pub fn control_digest(store: &Store) -> Result<[u8; 32]> {
    let mut all = Vec::new();
    for kind in DIGESTED {
        all.extend(store.control(kind)?);
    }
    Ok(control_digest_of(
        all.iter().map(|(_, object)| object.as_slice()),
    ))
}

/// The digest of these control objects.
pub fn control_digest_of<'a>(objects: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    manifest::digest(CONTROL, objects)
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
