//! A record's row: which revisions it has, their wraps, and the metadata of
//! its head, FORMAT.md §5.

use super::{EpochId, NameTag, RecordId, RevisionId, body, body::Op};
use crate::{
    Result,
    codec::{MALFORMED, Reader, Write},
    crypto,
    item::{Fields, Item},
    limits,
};
use zeroize::{Zeroize, Zeroizing};

/// One kept revision of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: RevisionId,
    pub head: bool,
    pub epoch: EpochId,
    pub wrap: [u8; 48],
}

/// A record's row, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub tag: NameTag,
    pub record: RecordId,
    /// Sorted by id.
    pub kept: Vec<Kept>,
    /// Encrypted.
    pub metadata: Vec<u8>,
}

impl Entry {
    /// Reads a row.
    pub fn parse(tag: NameTag, record: RecordId, bytes: &[u8]) -> Result<Self> {
        let mut r = Reader(bytes);
        let count = usize::from(r.u16()?);
        if count == 0 || count > limits::KEPT {
            return Err(MALFORMED);
        }
        let mut kept: Vec<Kept> = Vec::with_capacity(count);
        for _ in 0..count {
            let one = Kept {
                id: r.array()?,
                head: match r.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(MALFORMED),
                },
                epoch: r.array()?,
                wrap: r.array()?,
            };
            if kept.last().is_some_and(|k| k.id >= one.id) {
                return Err(MALFORMED);
            }
            kept.push(one);
        }
        if !kept.iter().any(|k| k.head) {
            return Err(MALFORMED);
        }
        Ok(Self {
            tag,
            record,
            kept,
            metadata: r.0.to_vec(),
        })
    }

    /// The row's bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let count = u16::try_from(self.kept.len()).map_err(|_| MALFORMED)?;
        let mut out = Vec::with_capacity(2 + self.kept.len() * 113 + self.metadata.len());
        out.put(&count.to_le_bytes());
        for kept in &self.kept {
            out.put(&kept.id);
            out.put(&[u8::from(kept.head)]);
            out.put(&kept.epoch);
            out.put(&kept.wrap);
        }
        out.put(&self.metadata);
        Ok(out)
    }

    /// What the tree holds of it.
    pub fn leaf(&self) -> Result<[u8; 32]> {
        let count = u16::try_from(self.kept.len()).map_err(|_| MALFORMED)?;
        let mut list = Vec::with_capacity(2 + self.kept.len() * 97);
        list.put(&count.to_le_bytes());
        for kept in &self.kept {
            list.put(&kept.id);
            list.put(&[u8::from(kept.head)]);
            list.put(&kept.epoch);
            list.put(&crypto::sha256(&kept.wrap));
        }
        let metadata = crypto::sha256(&self.metadata);
        let parts: [&[u8]; 4] = [&self.tag, &self.record, &list, &metadata];
        Ok(crypto::hash("sv1/leaf", &parts))
    }

    /// The heads.
    pub fn heads(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(|k| k.head)
    }

    /// Decrypts the metadata, which belongs to the revision `head`.
    pub fn open_metadata(&self, keys: &MetadataKeys<'_>, head: &RevisionId) -> Result<Metadata> {
        let key = keys.key(&self.tag, head)?;
        Metadata::decode(&crypto::open_once(&key, &self.record, &self.metadata)?)
    }
}

/// What metadata keys are derived from.
pub struct MetadataKeys<'a> {
    pub key: &'a [u8; 32],
    pub vault: &'a [u8; 16],
}

impl MetadataKeys<'_> {
    fn key(&self, tag: &NameTag, head: &RevisionId) -> Result<crypto::Key32> {
        crypto::expand(self.key, "sv1/meta", &[self.vault, tag, head])
    }
}

/// All of a secret but its value.
#[derive(Debug)]
pub struct Metadata {
    pub op: Op,
    pub generation: u64,
    pub created: i64,
    pub time: i64,
    pub size: u32,
    pub name: String,
    pub fields: Fields,
}

impl Metadata {
    /// Encrypts it for the row (`tag`, `record`) with head `head`.
    pub fn seal(
        &self,
        keys: &MetadataKeys<'_>,
        tag: &NameTag,
        record: &RecordId,
        head: &RevisionId,
    ) -> Result<Vec<u8>> {
        let tags: usize = self.fields.tags.iter().map(|t| t.len() + 1).sum();
        let plain = 1
            + 4 * 8
            + 4
            + (2 + self.name.len())
            + (1 + self.fields.category.len())
            + (1 + tags)
            + (2 + self.fields.note.len());
        let padded = plain.next_multiple_of(64);
        let mut out = Zeroizing::new(Vec::with_capacity(padded));
        out.put(&[self.op.byte()]);
        out.put(&self.generation.to_le_bytes());
        out.put(&self.created.to_le_bytes());
        out.put(&self.time.to_le_bytes());
        out.put(&self.fields.expires.to_le_bytes());
        out.put(&self.size.to_le_bytes());
        out.lp16(self.name.as_bytes())?;
        body::write_fields(&mut out, &self.fields)?;
        out.resize(padded, 0);
        crypto::seal_once(&*keys.key(tag, head)?, record, &out)
    }

    fn decode(plain: &[u8]) -> Result<Self> {
        let mut r = Reader(plain);
        let op = Op::from_byte(r.u8()?)?;
        let generation = r.u64()?;
        let created = r.i64()?;
        let time = r.i64()?;
        let expires = r.i64()?;
        let size = r.u32()?;
        let name = r.str16()?.to_owned();
        let fields = body::read_fields(&mut r, expires)?;
        if (plain.len() - r.0.len()).next_multiple_of(64) != plain.len() {
            return Err(MALFORMED);
        }
        r.padding()?;
        crate::item::check_name(&name).map_err(|_| MALFORMED)?;
        Ok(Self {
            op,
            generation,
            created,
            time,
            size,
            name,
            fields,
        })
    }

    /// As the agent sees it.
    pub fn item(&self) -> Item {
        Item {
            name: self.name.clone(),
            rev: self.generation,
            created: self.created,
            updated: self.time,
            size: self.size.into(),
            fields: self.fields.clone(),
        }
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.name.zeroize();
        self.fields.wipe();
    }
}
