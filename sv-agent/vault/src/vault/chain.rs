//! The epochs of a vault, from the first: each signed by one who may. Needs no
//! key, so a copy of the file is enough.

use crate::{
    Error, Result,
    objects::{EpochId, NodeId, VaultId, epoch::Epoch, kind, node_id, share_set::ShareSet},
    store::Store,
};
use std::collections::{HashMap, HashSet};

/// Every epoch, checked.
pub struct Chain {
    pub vault: VaultId,
    epochs: HashMap<EpochId, Epoch>,
    authors: HashMap<NodeId, [u8; 32]>,
}

const FOREIGN: Error = Error::Damaged("an epoch is of another vault");

impl Chain {
    /// Reads the epochs of a vault and checks who signed them.
    pub fn read(store: &Store) -> Result<Self> {
        let mut all = Vec::new();
        let mut vault = None;
        for (control_id, object) in store.control(kind::EPOCH)? {
            let (id, epoch, signature) = Epoch::parse(&object)?;
            if id.as_slice() != control_id.as_slice() {
                return Err(FOREIGN);
            }
            if epoch.is_genesis() && vault.replace(Epoch::vault_id(&object)?).is_some() {
                return Err(Error::Damaged("the vault has two beginnings"));
            }
            all.push((id, epoch, signature));
        }
        let vault = vault.ok_or(Error::Damaged("the vault has no first epoch"))?;
        // Parents have lower numbers, so they are known when a child is checked.
        all.sort_by_key(|(_, epoch, _)| epoch.number);
        let mut epochs: HashMap<EpochId, Epoch> = HashMap::new();
        for (id, epoch, signature) in all {
            if epoch.is_genesis() {
                let key = epoch.signing_key(&epoch.signer);
                signature.verify(&id, key.ok_or(NO_ADMIN)?)?;
            } else {
                if epoch.vault != vault {
                    return Err(FOREIGN);
                }
                let parents: Vec<&Epoch> = (epoch.parents.iter())
                    .map(|parent| epochs.get(parent))
                    .collect::<Option<_>>()
                    .ok_or(Error::Damaged("an epoch's parent is missing"))?;
                let highest = parents.iter().map(|parent| parent.number).max();
                if highest.and_then(|n| n.checked_add(1)) != Some(epoch.number) {
                    return Err(Error::Damaged("an epoch has a wrong number"));
                }
                let key = parents.iter().find_map(|p| p.signing_key(&epoch.signer));
                signature.verify(&id, key.ok_or(NO_ADMIN)?)?;
            }
            epochs.insert(id, epoch);
        }
        let authors = (epochs.values())
            .flat_map(|epoch| &epoch.members)
            .map(|member| (node_id(&member.signing), member.signing))
            .collect();
        Ok(Self {
            vault,
            epochs,
            authors,
        })
    }

    /// One of them.
    pub fn get(&self, id: &EpochId) -> Option<&Epoch> {
        self.epochs.get(id)
    }

    /// The signing key of a node that was ever a member.
    pub fn author(&self, node: &NodeId) -> Result<&[u8; 32]> {
        author(&self.authors, node)
    }

    /// Whether `earlier` is an epoch from which `later` descends.
    pub fn descends(&self, later: &EpochId, earlier: &EpochId) -> bool {
        let mut seen = HashSet::new();
        let mut next = vec![*later];
        while let Some(id) = next.pop() {
            let parents = self.epochs.get(&id).map_or(&[][..], |e| &e.parents);
            if parents.contains(earlier) {
                return true;
            }
            next.extend(parents.iter().copied().filter(|id| seen.insert(*id)));
        }
        false
    }

    /// All of those.
    pub fn into_authors(self) -> HashMap<NodeId, [u8; 32]> {
        self.authors
    }

    /// Whether a set was in force in any epoch.
    pub fn knows_set(&self, set: &[u8; 16]) -> bool {
        let mut sets = self.epochs.values().filter_map(|e| e.recovery);
        sets.any(|recovery| recovery.set == *set)
    }

    /// The share set in force in `epoch`, which must be the one it names.
    pub fn share_set(&self, store: &Store, epoch: &Epoch) -> Result<Option<ShareSet>> {
        let Some(recovery) = epoch.recovery else {
            return Ok(None);
        };
        let set = share_set(store, &self.vault, &recovery.set, |node| self.author(node))?
            .ok_or(Error::Damaged("the share set is missing"))?;
        if set.recovery == recovery {
            Ok(Some(set))
        } else {
            Err(Error::Damaged("the share set has another recovery key"))
        }
    }
}

const NO_ADMIN: Error = Error::Damaged("an epoch is signed by no admin");

/// The signing key of a node that was ever a member.
pub fn author<'a>(authors: &'a HashMap<NodeId, [u8; 32]>, node: &NodeId) -> Result<&'a [u8; 32]> {
    authors
        .get(node)
        .ok_or(Error::Damaged("an object is signed by no member"))
}

/// A stored share set.
pub fn share_set<'a>(
    store: &Store,
    vault: &VaultId,
    set: &[u8; 16],
    author: impl FnOnce(&NodeId) -> Result<&'a [u8; 32]>,
) -> Result<Option<ShareSet>> {
    let Some(object) = store.control_object(kind::SHARE_SET, set)? else {
        return Ok(None);
    };
    let found = ShareSet::open(&object, author)?;
    if found.vault == *vault && found.recovery.set == *set {
        Ok(Some(found))
    } else {
        Err(Error::Damaged("a share set is of another vault"))
    }
}
