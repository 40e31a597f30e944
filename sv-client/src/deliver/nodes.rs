//! A share for each node of the mesh.

use super::{Deliver, Holder, Parcel, assign};
use crate::{
    context::Context,
    error::{Error, Result},
    output,
    transport::{Node, Nodes},
};
use sv_proto::{Kind, message::HolderKind};

/// Nodes that take a share each.
pub struct ToNodes {
    nodes: Nodes,
    names: Vec<Node>,
    /// Which node gets which share.
    assigned: Vec<(u8, usize)>,
}

impl ToNodes {
    /// The nodes of these names.
    pub fn new(context: &Context, names: &[String]) -> Result<Self> {
        let names = parse(names)?;
        for (i, node) in names.iter().enumerate() {
            if names[..i].contains(node) {
                return Err(Error::usage(
                    format!("{node} is named twice, and would hold two shares"),
                    "name as many nodes as shares",
                ));
            }
        }
        Ok(Self {
            nodes: context.nodes()?,
            names,
            assigned: Vec::new(),
        })
    }
}

/// The nodes of these names.
pub fn parse(names: &[String]) -> Result<Vec<Node>> {
    let node = |name: &String| {
        name.parse::<Node>()
            .map_err(|wants| Error::usage(format!("a node {wants}"), "name nodes as vssh does"))
    };
    names.iter().map(node).collect()
}

impl Deliver for ToNodes {
    fn count(&self) -> Option<usize> {
        Some(self.names.len())
    }

    fn prepare(&mut self, indices: &[u8], count: u8, _fresh: bool) -> Result<()> {
        self.assigned = assign(self.names.len(), indices, count).ok_or_else(|| {
            Error::usage(
                format!(
                    "{} can't go to {}",
                    output::count(indices.len() as u64, "share"),
                    output::count(self.names.len() as u64, "node")
                ),
                "name as many nodes as shares",
            )
        })?;
        Ok(())
    }

    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Holder> {
        let node = self
            .assigned
            .iter()
            .find(|(index, _)| *index == parcel.index)
            .and_then(|(_, at)| self.names.get(*at))
            .ok_or_else(|| Error::agent(Kind::Internal, "a share without a node"))?;
        let (vault, set) = (parcel.dealing.vault, parcel.dealing.set);
        self.nodes
            .deliver(node, vault, set, parcel.index, parcel.text)?;
        Ok(Holder {
            kind: HolderKind::Node,
            name: node.to_string(),
        })
    }
}
