//! Control objects: what comes and goes in one transaction, and what the
//! manifest then says of them.

use super::{Vault, keys};
use crate::{
    Result,
    objects::{kind, local::Local, manifest::Manifest},
    store::{Control, Store, Writer},
};

/// Control objects that go and come together.
#[derive(Default)]
pub(super) struct Changes {
    gone: Vec<(u8, Vec<u8>)>,
    new: Vec<(u8, Control)>,
}

impl Changes {
    /// Takes one out.
    pub fn remove(&mut self, kind: u8, id: &[u8]) {
        self.gone.push((kind, id.to_vec()));
    }

    /// Sets one.
    pub fn set(&mut self, kind: u8, id: &[u8], object: Vec<u8>) {
        self.new.push((kind, (id.to_vec(), object)));
    }

    /// Those of a type as they will be.
    fn after(&self, store: &Store, kind: u8) -> Result<Vec<Vec<u8>>> {
        let touched = |id: &[u8]| {
            let gone = self.gone.iter().map(|(k, id)| (*k, id));
            let new = self.new.iter().map(|(k, (id, _))| (*k, id));
            gone.chain(new)
                .any(|(k, i)| k == kind && i.as_slice() == id)
        };
        let mut all = store.control(kind)?;
        all.retain(|(id, _)| !touched(id));
        let new = self.new.iter().filter(|(k, _)| *k == kind);
        let kept = all.into_iter().map(|(_, object)| object);
        Ok(kept
            .chain(new.map(|(_, (_, object))| object.clone()))
            .collect())
    }

    /// The manifest with the digests as they will be.
    pub fn digested(&self, store: &Store, mut manifest: Manifest) -> Result<Manifest> {
        let slots = self.after(store, kind::SLOT)?;
        manifest.slots = keys::slots_digest_of(slots.iter().map(Vec::as_slice));
        let mut control = Vec::new();
        for kind in keys::DIGESTED {
            control.extend(self.after(store, kind)?);
        }
        manifest.control = keys::control_digest_of(control.iter().map(Vec::as_slice));
        Ok(manifest)
    }

    /// Writes them.
    pub fn write(&self, tx: &Writer<'_>) -> Result<()> {
        for (kind, id) in &self.gone {
            tx.drop_control(*kind, id)?;
        }
        for (kind, (id, object)) in &self.new {
            tx.replace_control(*kind, id, object)?;
        }
        Ok(())
    }
}

impl Vault {
    /// Changes control objects in a transaction of its own.
    pub(super) fn change_control(&mut self, changes: &Changes, erase: bool) -> Result<()> {
        self.ready()?;
        let manifest = changes.digested(&self.store, self.manifest.clone())?;
        self.transact(manifest, erase, |tx| changes.write(tx))
    }

    /// This node's notes.
    pub(super) fn local(&self) -> Result<Local> {
        let object = self.store.control_object(kind::LOCAL, &self.keys.node)?;
        match object {
            None => Ok(Local::default()),
            Some(object) => Local::open(
                &object,
                &self.manifest.vault,
                &self.keys.node,
                self.keys.node_key.expose(),
            ),
        }
    }

    /// Puts this node's notes among `changes`.
    pub(super) fn set_local(&self, changes: &mut Changes, local: &Local) -> Result<()> {
        let keys = &self.keys;
        let object = local.seal(&self.manifest.vault, &keys.node, keys.node_key.expose())?;
        changes.set(kind::LOCAL, &keys.node, object);
        Ok(())
    }
}
