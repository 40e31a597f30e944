//! The epochs of a vault, from the first: each signed by one who may. Needs no
//! key, so a copy of the file is enough.

use crate::{
    Error, Result,
    objects::{EpochId, NodeId, VaultId, epoch::Epoch, kind, node_id, share_set::ShareSet},
    store::{Control, Store},
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
        Self::of(store.control(kind::EPOCH)?)
    }

    fn of(objects: Vec<Control>) -> Result<Self> {
        let mut all = Vec::new();
        let mut vault = None;
        for (control_id, object) in objects {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto,
        objects::epoch::{ADMIN, MEMBER, Member, Recovery},
    };

    fn member(seed: u8, role: u8) -> Member {
        Member {
            signing: crypto::verifying_key(&[seed; 32]),
            opening: [seed; 32],
            role,
            name: String::new(),
        }
    }

    fn node(seed: u8) -> NodeId {
        node_id(&crypto::verifying_key(&[seed; 32]))
    }

    /// An epoch that `signer` signs with the seed `seed`.
    fn sealed(mut epoch: Epoch, signer: u8, seed: u8) -> (EpochId, Control) {
        epoch.signer = node(signer);
        epoch.members.sort_by_key(|m| m.signing);
        let (id, object) = epoch.seal(&[seed; 32]).unwrap();
        (id, (id.to_vec(), object))
    }

    fn genesis() -> Epoch {
        Epoch {
            vault: [0; 16],
            number: 1,
            parents: Vec::new(),
            commitment: [1; 32],
            recovery: None,
            members: vec![member(1, ADMIN), member(2, MEMBER)],
            revoked: Vec::new(),
            signer: [0; 16],
        }
    }

    /// The beginning, and a second epoch that names a recovery key.
    fn two() -> (Control, EpochId, Control, Epoch) {
        let (first, genesis_object) = sealed(genesis(), 1, 1);
        let second = Epoch {
            vault: Epoch::vault_id(&genesis_object.1).unwrap(),
            number: 2,
            parents: vec![first],
            recovery: Some(Recovery {
                set: [5; 16],
                opening: [5; 32],
                signing: crypto::verifying_key(&[5; 32]),
            }),
            members: vec![member(3, ADMIN)],
            ..genesis()
        };
        let (id, object) = sealed(second.clone(), 1, 1);
        (genesis_object, id, object, second)
    }

    #[test]
    fn admins_and_the_recovery_key_of_a_parent_sign() {
        let (first, id, second, next) = two();
        let third = |signer| {
            let third = Epoch {
                number: 3,
                parents: vec![id],
                ..next.clone()
            };
            sealed(third, signer, signer).1
        };
        for signer in [3, 5] {
            let chain = Chain::of(vec![third(signer), first.clone(), second.clone()]).unwrap();
            assert!(chain.knows_set(&[5; 16]));
            assert!(chain.author(&node(1)).is_ok() && chain.author(&node(3)).is_ok());
            // A recovery key writes no revision.
            assert!(chain.author(&node(5)).is_err());
        }
        // The first node is no member any more; the second never was an admin.
        for signer in [1, 2, 4] {
            assert!(Chain::of(vec![first.clone(), second.clone(), third(signer)]).is_err());
        }
    }

    #[test]
    fn what_nobody_may_say_is_refused() {
        let (first, _, second, next) = two();
        let with = |objects: &[&Control]| {
            Chain::of(objects.iter().map(|o| (*o).clone()).collect()).is_err()
        };
        assert!(!with(&[&first, &second]));
        // By a member who is no admin, by a stranger, in an admin's name.
        for (signer, seed) in [(2, 2), (4, 4), (3, 3), (1, 4)] {
            assert!(
                with(&[&first, &sealed(next.clone(), signer, seed).1]),
                "{signer} {seed}"
            );
        }
        let changed = |change: fn(&mut Epoch)| {
            let mut epoch = next.clone();
            change(&mut epoch);
            sealed(epoch, 1, 1).1
        };
        assert!(with(&[&first, &changed(|e| e.number = 3)]));
        assert!(with(&[&first, &changed(|e| e.number = 1)]));
        assert!(with(&[&first, &changed(|e| e.parents = vec![[9; 32]])]));
        assert!(with(&[&first, &changed(|e| e.parents.clear())]));
        assert!(with(&[&first, &changed(|e| e.vault = [9; 16])]));
        // Two beginnings, none, one signed by somebody else, one under another id.
        let other = sealed(
            Epoch {
                commitment: [2; 32],
                ..genesis()
            },
            1,
            1,
        )
        .1;
        assert!(with(&[&first, &other]));
        assert!(with(&[&second]) && with(&[]));
        assert!(with(&[&sealed(genesis(), 2, 2).1]));
        assert!(with(&[&sealed(genesis(), 1, 4).1]));
        assert!(with(&[&(vec![0; 32], first.1.clone())]));
    }
}
