//! Backups on nodes: `~/.local/share/sv/backups/VAULT/TIME-gGENERATION.sv`.

use super::{Node, Nodes, failed, files::PLACE, hex, limits, signals::Held};
use crate::error::Result;
use std::io::Read;
use sv_proto::{message::BackupMade, span};

/// The name of a backup on a node; they are sorted by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// `20261231T235959Z`
    time: String,
    generation: u64,
}

impl Stored {
    /// A backup of the time `now`, in milliseconds since 1970, and a generation of the vault.
    #[must_use]
    pub fn new(now: i64, generation: u64) -> Self {
        let mut time = span::rfc3339(now);
        time.retain(|c| !matches!(c, '-' | ':'));
        Self { time, generation }
    }

    /// The name of its file.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-g{}.sv", self.time, self.generation)
    }

    /// Only what [`Stored::name`] writes.
    fn parse(name: &str) -> Option<Self> {
        let (time, generation) = name.strip_suffix(".sv")?.split_once("-g")?;
        let stored = Self {
            time: time.to_owned(),
            generation: generation.parse().ok()?,
        };
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        (shape == "00000000T000000Z" && stored.name() == name).then_some(stored)
    }
}

impl Nodes {
    /// Puts a backup on a node, and sees that it is there, whole and for nobody else.
    pub fn store(
        &self,
        node: &Node,
        made: &BackupMade,
        source: &mut dyn Read,
        stored: &Stored,
    ) -> Result<()> {
        let held = Held::new()?;
        let folder = self.folder(node, &folder(made.vault), &held)?;
        self.put(node, &folder, &stored.name(), source, made.digest, &held)
    }

    /// Removes all but the `keep` newest backups of a vault from a node, and
    /// never `latest`. Gives how many went. Other files stay.
    pub fn prune(
        &self,
        node: &Node,
        vault: [u8; 16],
        keep: usize,
        latest: &Stored,
    ) -> Result<usize> {
        let held = Held::new()?;
        let place = format!("{PLACE}/{}", folder(vault));
        let body =
            format!("cd ~/{place} && for f in *.sv; do test -f $f && echo $a:backup:$f; done");
        let answer = self.ask(node, &body, &held)?;
        let there = answer.lines::<1>("backup").map(|[name]| name);
        let old = outdated(there, keep, latest);
        for names in old.chunks(limits::REMOVE) {
            let names = names.join(" ");
            let body = format!(
                "cd ~/{place} && rm -f {names}; \
                 for f in {names}; do test -e $f && echo $a:left:$f; done"
            );
            if let Some([name]) = self.ask(node, &body, &held)?.lines::<1>("left").next() {
                return Err(failed(node, format!("{name} can't be removed there")));
            }
        }
        Ok(old.len())
    }
}

fn folder(vault: [u8; 16]) -> String {
    format!("backups/{}", hex(&vault))
}

/// The names of those that are not among the newest. The clock may have gone
/// back since they were written, hence `latest`.
fn outdated<'a>(names: impl Iterator<Item = &'a str>, keep: usize, latest: &Stored) -> Vec<String> {
    let mut there: Vec<Stored> = names
        .filter_map(Stored::parse)
        .filter(|stored| stored != latest)
        .collect();
    there.sort_by(|a, b| b.cmp(a));
    there
        .iter()
        .skip(keep.saturating_sub(1))
        .map(Stored::name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_our_own() {
        let stored = Stored::new(1_798_761_599_999, 12);
        assert_eq!(stored.name(), "20261231T235959Z-g12.sv");
        assert_eq!(Stored::parse("20261231T235959Z-g12.sv"), Some(stored));
        for name in [
            "20261231T235959Z-g012.sv",
            "20261231T235959Z-g.sv",
            "20261231T235959Z-g1.sv.sv",
            "2026-12-31-g1.sv",
            "20261231T235959Z-g1",
            "my-g1.sv",
            "a b-g1.sv",
            "x;rm-g1.sv",
        ] {
            assert_eq!(Stored::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_newest_stay_and_everything_else_of_the_folder() {
        let at = |day: i64, generation| Stored::new(day * 86_400_000, generation);
        let names: Vec<String> = [at(3, 30), at(1, 10), at(4, 40), at(2, 20)]
            .iter()
            .map(Stored::name)
            .chain(["notes.sv".to_owned()])
            .collect();
        let old = |keep, latest: &Stored| outdated(names.iter().map(String::as_str), keep, latest);
        assert_eq!(old(2, &at(4, 40)), [at(2, 20).name(), at(1, 10).name()]);
        assert_eq!(old(1, &at(4, 40)).len(), 3);
        assert!(old(4, &at(4, 40)).is_empty());
        // The clock went back: the one that was just written stays all the same.
        assert_eq!(old(2, &at(1, 10)), [at(3, 30).name(), at(2, 20).name()]);
    }
}
