//! Where shares go.
//!
//! | module      | delivers                                                       |
//! |-------------|----------------------------------------------------------------|
//! | [`choice`]  | what the arguments name                                        |
//! | [`folder`]  | to files, as they are, encrypted to their holders, or on sheets |
//! | [`mod@nodes`] | to nodes of the mesh                                           |
//! | [`shown`]   | to whoever reads the terminal or standard output               |

pub mod choice;
pub mod folder;
pub mod nodes;
pub mod shown;

use crate::{
    context::Context,
    error::{Error, Result},
};
use sv_proto::{
    Secret,
    message::{Dealing, HolderKind},
};
use sv_shares::{Parsed, Share};

fn nodes(context: &Context, names: &[String]) -> Result<Box<dyn Deliver>> {
    Ok(Box::new(nodes::ToNodes::new(context, names)?))
}

/// A share on its way.
pub struct Parcel<'a> {
    /// The set that it is of.
    pub dealing: &'a Dealing,
    /// 1 to the count.
    pub index: u8,
    /// The share as one line of text, without a newline.
    pub text: &'a Secret,
    /// What people call the vault.
    pub vault: &'a str,
}

impl Parcel<'_> {
    /// The share itself, which has to be the one that was asked for.
    pub fn parsed(&self) -> Result<Share> {
        match Share::parse(self.text.expose()) {
            Ok(Parsed::Share(share)) if share.index() == self.index => Ok(share),
            _ => Err(Error::Malformed("something else than the share")),
        }
    }
}

/// Who has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What it is.
    pub kind: HolderKind,
    /// The file, person or node.
    pub name: String,
}

/// A way to deliver shares.
pub trait Deliver {
    /// How many shares there have to be, if the arguments name each holder.
    fn count(&self) -> Option<usize> {
        None
    }

    /// Called once, before anything is dealt or fetched: whether the shares
    /// `indices` of `count` can go there, as far as that can be told. `fresh`
    /// if they are dealt only after this.
    fn prepare(&mut self, indices: &[u8], count: u8, fresh: bool) -> Result<()>;

    /// Brings one there, so that it stays. [`Error::Interrupted`] and
    /// [`Error::Pipe`] end the delivery of the others as well; after any
    /// other error it goes on with the next.
    ///
    /// [`Error::Interrupted`]: crate::error::Error::Interrupted
    /// [`Error::Pipe`]: crate::error::Error::Pipe
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Holder>;

    /// Called once, after the last.
    fn finish(&mut self) {}
}

/// Which of the holders that were named gets which of the shares `indices`:
/// either all of a set were named, or as many as shares still wait.
pub fn assign(holders: usize, indices: &[u8], count: u8) -> Option<Vec<(u8, usize)>> {
    if holders == usize::from(count) {
        let all = indices.iter().map(|i| (*i, usize::from(*i) - 1));
        return Some(all.collect());
    }
    (holders == indices.len()).then(|| indices.iter().copied().zip(0..).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_by_index_or_in_order() {
        assert_eq!(assign(3, &[1, 2, 3], 3), Some(vec![(1, 0), (2, 1), (3, 2)]));
        assert_eq!(assign(5, &[2, 5], 5), Some(vec![(2, 1), (5, 4)]));
        assert_eq!(assign(2, &[2, 5], 5), Some(vec![(2, 0), (5, 1)]));
        assert_eq!(assign(3, &[2, 5], 5), None);
        assert_eq!(assign(0, &[2], 5), None);
    }
}
