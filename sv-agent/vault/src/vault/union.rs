//! Of the revisions that two sides have of one record, those that stay:
//! FORMAT.md §3.

use crate::{
    Error, Result, limits,
    objects::{RevisionId, entry::Kept, first16, revision::Header},
};
use std::collections::HashSet;

/// One revision of a record, of either side.
pub struct Rev {
    pub id: RevisionId,
    pub header: Header,
    /// The vault's entry for it, if it has one.
    pub ours: Option<Kept>,
    pub theirs: Option<Kept>,
}

/// Which of the revisions stay, by place, and which of those are heads.
pub fn selected(revs: &[Rev]) -> Result<Vec<(usize, bool)>> {
    let mut parents: HashSet<RevisionId> = HashSet::new();
    let mut ancestors: HashSet<[u8; 16]> = HashSet::new();
    for rev in revs {
        parents.extend(&rev.header.parents);
        ancestors.extend(&rev.header.ancestors);
    }
    let superseded = |rev: &Rev| parents.contains(&rev.id) || ancestors.contains(&first16(&rev.id));
    let gone = purged(revs);
    let heads: Vec<&Rev> = revs.iter().filter(|rev| !superseded(rev)).collect();
    if heads.len() > limits::PARENTS {
        return Err(Error::Damaged("more heads than a revision can supersede"));
    }
    let of_heads: HashSet<RevisionId> = (heads.iter())
        .flat_map(|rev| rev.header.parents.iter().copied())
        .collect();
    let mut past: Vec<usize> = (0..revs.len())
        .filter(|at| superseded(&revs[*at]) && !gone.contains(&revs[*at].id))
        .collect();
    past.sort_unstable_by_key(|at| {
        let rev = &revs[*at];
        std::cmp::Reverse((rev.header.generation, rev.header.lc, rev.id))
    });
    let mut stays: Vec<(usize, bool)> = (past.iter().enumerate())
        .filter(|(rank, at)| *rank < limits::HISTORY || of_heads.contains(&revs[**at].id))
        .map(|(_, at)| (*at, false))
        .collect();
    stays.extend(
        (0..revs.len())
            .filter(|at| !superseded(&revs[*at]))
            .map(|at| (at, true)),
    );
    // By id, as a row wants it: `revs` is sorted.
    stays.sort_unstable();
    Ok(stays)
}

/// What a purge drops: everything that it supersedes, as far as anyone here
/// knows the way.
fn purged(revs: &[Rev]) -> HashSet<RevisionId> {
    let mut gone: HashSet<RevisionId> = HashSet::new();
    let mut next: Vec<&Rev> = revs.iter().filter(|rev| rev.header.purge).collect();
    while let Some(rev) = next.pop() {
        for other in revs {
            let below = rev.header.parents.contains(&other.id)
                || rev.header.ancestors.contains(&first16(&other.id));
            if below && gone.insert(other.id) {
                next.push(other);
            }
        }
    }
    gone
}
