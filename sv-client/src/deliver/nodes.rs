//! A node of the mesh for each share.

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
    holders: Vec<(u8, usize)>,
}

impl ToNodes {
    /// These nodes. Standard input has to be claimed before.
    pub fn new(context: &Context, names: &[String]) -> Result<Self> {
        let mut parsed: Vec<Node> = Vec::new();
        for name in names {
            let node: Node = name
                .parse()
                .map_err(|why| Error::usage(format!("--to {why}"), "sv distribute --help"))?;
            if parsed.contains(&node) {
                return Err(Error::usage(
                    format!("{node} was named twice: losing it would cost two shares"),
                    "name each node once",
                ));
            }
            parsed.push(node);
        }
        Ok(Self {
            nodes: context.nodes()?,
            names: parsed,
            holders: Vec::new(),
        })
    }
}

impl Deliver for ToNodes {
    fn count(&self) -> Option<usize> {
        Some(self.names.len())
    }

    fn prepare(&mut self, indices: &[u8], count: u8, _fresh: bool) -> Result<()> {
        self.holders = assign(self.names.len(), indices, count).ok_or_else(|| {
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
        let (index, dealing) = (parcel.index, parcel.dealing);
        let found = self.holders.iter().find(|(i, _)| *i == index);
        let node = found
            .and_then(|(_, at)| self.names.get(*at))
            .ok_or_else(|| Error::agent(Kind::Internal, "a share without a node"))?;
        self.nodes
            .deliver(node, dealing.vault, dealing.set, index, parcel.text)?;
        Ok(Holder {
            kind: HolderKind::Node,
            name: node.as_str().to_owned(),
        })
    }
}
