//! The encrypted part of a revision, FORMAT.md §3.

use crate::{
    Result,
    codec::{MALFORMED, Reader, Write},
    item::Fields,
};
use zeroize::Zeroizing;

/// What a revision does to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Gives it a value and fields.
    Put,
    /// Says that it is gone.
    Delete,
}

impl Op {
    pub const fn byte(self) -> u8 {
        match self {
            Self::Put => 0,
            Self::Delete => 1,
        }
    }

    pub const fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            0 => Ok(Self::Put),
            1 => Ok(Self::Delete),
            _ => Err(MALFORMED),
        }
    }
}

/// Extension 1: the time of the record's first revision.
const CREATED: u8 = 1;

/// What goes into a body.
pub struct Content<'a> {
    pub op: Op,
    pub time: i64,
    pub created: i64,
    pub name: &'a str,
    pub fields: &'a Fields,
    pub value: &'a [u8],
}

/// The length of a body after padding.
pub const fn bucket(n: usize) -> usize {
    if n <= 4096 {
        n.next_multiple_of(256)
    } else {
        n.next_multiple_of(1 << (n.ilog2() - 3))
    }
}

impl Content<'_> {
    /// The padded body, in a buffer that never grew.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        let tags: usize = self.fields.tags.iter().map(|t| t.len() + 1).sum();
        let plain = 1
            + 8
            + 8
            + (2 + self.name.len())
            + (1 + self.fields.category.len())
            + (1 + tags)
            + (2 + self.fields.note.len())
            + (1 + 1 + 2 + 8)
            + (4 + self.value.len());
        let padded = bucket(plain);
        let mut out = Zeroizing::new(Vec::with_capacity(padded + crate::crypto::TAG));
        out.put(&[self.op.byte()]);
        out.put(&self.time.to_le_bytes());
        out.put(&self.fields.expires.to_le_bytes());
        out.lp16(self.name.as_bytes())?;
        write_fields(&mut out, self.fields)?;
        out.put(&[1, CREATED]);
        out.lp16(&self.created.to_le_bytes())?;
        out.lp32(self.value)?;
        debug_assert_eq!(out.len(), plain);
        out.resize(padded, 0);
        Ok(out)
    }
}

/// category, tags, note: the same in a body and in metadata.
pub fn write_fields(out: &mut Vec<u8>, fields: &Fields) -> Result<()> {
    out.lp8(fields.category.as_bytes())?;
    out.put(&[u8::try_from(fields.tags.len()).map_err(|_| MALFORMED)?]);
    for tag in &fields.tags {
        out.lp8(tag.as_bytes())?;
    }
    out.lp16(fields.note.as_bytes())
}

/// Reads what [`write_fields`] wrote.
pub fn read_fields(reader: &mut Reader<'_>, expires: i64) -> Result<Fields> {
    let category = reader.str8()?.to_owned();
    let count = reader.u8()?;
    let mut tags = Vec::with_capacity(count.into());
    for _ in 0..count {
        tags.push(reader.str8()?.to_owned());
    }
    Ok(Fields {
        category,
        tags,
        note: reader.str16()?.to_owned(),
        expires,
    })
}

/// A decrypted body.
pub struct Body {
    pub op: Op,
    pub time: i64,
    pub created: Option<i64>,
    pub name: String,
    pub fields: Fields,
    plain: Zeroizing<Vec<u8>>,
    value: std::ops::Range<usize>,
}

impl Body {
    /// Reads a decrypted body.
    pub fn decode(plain: Zeroizing<Vec<u8>>) -> Result<Self> {
        let mut r = Reader(&plain);
        let op = Op::from_byte(r.u8()?)?;
        let time = r.i64()?;
        let expires = r.i64()?;
        let name = r.str16()?.to_owned();
        let fields = read_fields(&mut r, expires)?;
        let mut created = None;
        let mut last = 0;
        for _ in 0..r.u8()? {
            let id = r.u8()?;
            let extension = r.lp16()?;
            if id <= last {
                return Err(MALFORMED);
            }
            last = id;
            if id == CREATED {
                let bytes = extension.try_into().map_err(|_| MALFORMED)?;
                created = Some(i64::from_le_bytes(bytes));
            }
        }
        let value = r.lp32()?.len();
        let end = plain.len() - r.0.len();
        if bucket(end) != plain.len() {
            return Err(MALFORMED);
        }
        r.padding()?;
        crate::item::check_name(&name).map_err(|_| MALFORMED)?;
        Ok(Self {
            op,
            time,
            created,
            name,
            fields,
            value: end - value..end,
            plain,
        })
    }

    /// The value.
    pub fn value(&self) -> &[u8] {
        &self.plain[self.value.clone()]
    }

    /// The value, in a buffer of its own.
    pub fn into_value(mut self) -> Zeroizing<Vec<u8>> {
        let end = self.value.end;
        self.plain.truncate(end);
        self.plain.drain(..self.value.start);
        std::mem::take(&mut self.plain)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.name.zeroize();
        self.fields.wipe();
    }
}
