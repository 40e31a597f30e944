//! The tree between the manifest and the records: what is read is proven
//! against the root in memory, what is written moves the root.

use crate::{
    Error, Result,
    objects::{
        NameTag,
        tree::{self, Bucket, Children, EMPTY, LEVELS, NO_CHILDREN},
    },
    store::{Store, Writer},
};
use std::collections::{BTreeMap, HashMap};

/// The root, and the nodes that were proven against it: 4,369 at most, 2.2 MiB.
pub struct Tree {
    root: [u8; 32],
    proven: HashMap<i64, Children>,
}

const WRONG: Error = Error::Damaged("the index does not match the manifest");

impl Tree {
    /// Nothing proven yet.
    pub fn new(root: [u8; 32]) -> Self {
        Self {
            root,
            proven: HashMap::new(),
        }
    }

    /// The bucket number `number`, proven.
    pub fn bucket(&mut self, store: &Store, number: u16) -> Result<Bucket> {
        let mut expected = self.root;
        for level in 0..LEVELS {
            let (index, child) = tree::step(number, level);
            let key = tree::node_key(level, index);
            let children = match self.proven.get(&key) {
                Some(children) => children,
                None => {
                    let children = read_node(store, level, index, &expected)?;
                    self.proven.entry(key).or_insert(children)
                }
            };
            expected = children[child];
        }
        read_bucket(store, number, &expected)
    }

    /// Forgets what was proven, so that a verification reads the disk.
    pub fn forget(&mut self) {
        self.proven.clear();
    }

    /// The changes that new buckets make to the tree. The nodes above each
    /// bucket must have been proven by [`Tree::bucket`].
    pub fn stage(&self, buckets: BTreeMap<u16, Bucket>) -> Result<Staged> {
        let mut nodes: BTreeMap<i64, Children> = BTreeMap::new();
        let mut root = self.root;
        for (number, bucket) in &buckets {
            let mut hash = bucket.hash();
            for level in (0..LEVELS).rev() {
                let (index, child) = tree::step(*number, level);
                let key = tree::node_key(level, index);
                let mut children = match nodes.get(&key) {
                    Some(children) => *children,
                    None => *self.proven.get(&key).ok_or(WRONG)?,
                };
                children[child] = hash;
                hash = tree::node_hash(level, &children);
                nodes.insert(key, children);
            }
            root = hash;
        }
        Ok(Staged {
            root,
            nodes,
            buckets,
        })
    }

    /// Takes over changes that are on the disk.
    pub fn apply(&mut self, staged: Staged) {
        self.root = staged.root;
        self.proven.extend(staged.nodes);
    }
}

/// Changes to the tree that are not on the disk yet.
pub struct Staged {
    pub root: [u8; 32],
    nodes: BTreeMap<i64, Children>,
    buckets: BTreeMap<u16, Bucket>,
}

impl Staged {
    /// Writes them.
    pub fn write(&self, tx: &Writer<'_>) -> Result<()> {
        for (number, bucket) in &self.buckets {
            let leaves = (!bucket.leaves().is_empty()).then(|| bucket.encode());
            tx.bucket(*number, leaves.as_deref())?;
        }
        for (key, children) in &self.nodes {
            let hashes = (*children != NO_CHILDREN).then_some(children.as_flattened());
            tx.node(*key, hashes)?;
        }
        Ok(())
    }
}

/// A tree made at once from the hashes of all buckets.
pub struct Whole {
    root: [u8; 32],
    nodes: Vec<(i64, Children)>,
}

impl Whole {
    /// The nodes over 65,536 buckets.
    pub fn new(buckets: &[[u8; 32]]) -> Result<Self> {
        let mut nodes = Vec::new();
        let mut below = buckets.to_vec();
        for level in (0..LEVELS).rev() {
            let (parents, rest) = below.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(WRONG);
            }
            let mut hashes = Vec::with_capacity(parents.len());
            for (index, children) in parents.iter().enumerate() {
                let index = u16::try_from(index).map_err(|_| WRONG)?;
                if *children != NO_CHILDREN {
                    nodes.push((tree::node_key(level, index), *children));
                }
                hashes.push(tree::node_hash(level, children));
            }
            below = hashes;
        }
        match below.as_slice() {
            [root] => Ok(Self { root: *root, nodes }),
            _ => Err(WRONG),
        }
    }

    /// Its root.
    pub const fn root(&self) -> [u8; 32] {
        self.root
    }

    /// Writes its nodes, where there are none.
    pub fn write(&self, tx: &Writer<'_>) -> Result<()> {
        (self.nodes.iter())
            .try_for_each(|(key, children)| tx.node(*key, Some(children.as_flattened())))
    }
}

fn read_node(store: &Store, level: u8, index: u16, expected: &[u8; 32]) -> Result<Children> {
    let children = match store.node(tree::node_key(level, index))? {
        Some(bytes) => tree::parse_node(&bytes)?,
        None => NO_CHILDREN,
    };
    if tree::node_hash(level, &children) == *expected {
        Ok(children)
    } else {
        Err(WRONG)
    }
}

fn read_bucket(store: &Store, number: u16, expected: &[u8; 32]) -> Result<Bucket> {
    // An empty bucket needs no look: what might lie there is not believed.
    if *expected == EMPTY {
        return Ok(Bucket::default());
    }
    let bytes = store.bucket(number)?.ok_or(WRONG)?;
    let bucket = Bucket::parse(number, &bytes)?;
    if bucket.hash() == *expected {
        Ok(bucket)
    } else {
        Err(WRONG)
    }
}

/// The bucket of a name.
pub const fn bucket_of(tag: &NameTag) -> u16 {
    tree::bucket_of(tag)
}
