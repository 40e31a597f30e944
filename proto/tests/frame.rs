//! The outer layer, and the largest message.

use std::io;
use sv_proto::{
    Envelope, Request, Response, Secret, codec,
    codec::CodecError,
    frame::{self, FrameError, Header, MORE, Versions},
    limits,
    message::{Change, Fields, Item},
};

fn status() -> Envelope {
    Envelope {
        vault: None,
        request: Request::Status,
    }
}

#[test]
fn layout() {
    let frame = frame::encode(0x0807_0605_0403_0201, MORE, &status()).unwrap();
    assert_eq!(
        *frame,
        [
            17, 0, 0, 0, 1, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, // header
            0, 0, 0, 0, 0, // body
        ]
    );
    let (header, body) = frame::split(&frame[4..]).unwrap();
    let wanted = Header {
        version: 1,
        flags: MORE,
        id: 0x0807_0605_0403_0201,
    };
    assert_eq!((header, body), (wanted, &[0; 5][..]));
    assert!(frame::split(&frame[4..15]).is_none());
}

#[test]
fn lengths() {
    for (length, good) in [
        (0, false),
        (limits::HEADER as u32 - 1, false),
        (limits::HEADER as u32, true),
        (limits::FRAME as u32, true),
        (limits::FRAME as u32 + 1, false),
        (u32::MAX, false),
    ] {
        match frame::length(length.to_le_bytes()) {
            Ok(n) => assert!(good && n == length as usize, "{length}"),
            Err(FrameError::Length(n)) => assert!(!good && n == length, "{length}"),
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn version_is_checked_before_flags() {
    let header = |version, flags| Header {
        version,
        flags,
        id: 1,
    };
    assert!(header(1, 0).check().is_ok());
    assert!(header(1, MORE).check().is_ok());
    assert!(matches!(header(1, 2).check(), Err(FrameError::Flags(2))));
    assert!(matches!(header(2, 2).check(), Err(FrameError::Version(2))));
    assert!(matches!(header(0, 0).check(), Err(FrameError::Version(0))));
}

#[test]
fn frames_follow_each_other() {
    let mut stream = Vec::new();
    for id in 1..=3 {
        frame::write(&mut stream, id, &status()).unwrap();
    }
    let mut stream = stream.as_slice();
    for id in 1..=3 {
        let (header, body) = frame::read(&mut stream).unwrap();
        assert_eq!((header.id, header.flags), (id, 0));
        let envelope: Envelope = codec::decode(&body).unwrap();
        assert!(matches!(envelope.request, Request::Status));
    }
    assert!(matches!(frame::read(&mut stream), Err(FrameError::Closed)));
}

/// One byte at a time, as a slow sender does.
struct Drip<'a>(&'a [u8]);

impl io::Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(out.len()).min(1);
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn a_slow_stream_is_read_and_a_cut_one_is_no_clean_end() {
    let frame = frame::encode(9, 0, &status()).unwrap();
    let (header, body) = frame::read(&mut Drip(&frame)).unwrap();
    assert_eq!((header.id, body.len()), (9, 5));
    for end in 1..frame.len() {
        match frame::read(&mut Drip(&frame[..end])) {
            Err(FrameError::Io(e)) => assert_eq!(e.kind(), io::ErrorKind::UnexpectedEof),
            other => panic!("{end}: {other:?}"),
        }
    }
    assert!(matches!(
        frame::read(&mut Drip(&[])),
        Err(FrameError::Closed)
    ));
}

#[test]
fn versions() {
    let frame = Versions::OURS.frame(5);
    let (header, body) = frame::read(&mut frame.as_slice()).unwrap();
    assert_eq!((header.version, header.flags, header.id), (0, 0, 5));
    assert_eq!(Versions::parse(&body), Some(Versions { min: 1, max: 1 }));
    assert!(matches!(header.check(), Err(FrameError::Version(0))));
    assert_eq!(Versions::parse(&body[..3]), None);
    // The fixed layout is what the codec would write.
    let mut encoded = zeroize::Zeroizing::new(Vec::new());
    codec::encode_into(&Versions::OURS, &mut encoded).unwrap();
    assert_eq!(encoded.as_slice(), &frame[16..]);
}

fn largest() -> Fields {
    Fields {
        category: "c".repeat(limits::CATEGORY),
        tags: vec!["t".repeat(limits::TAG); limits::TAGS],
        note: "n".repeat(limits::NOTE),
        expires: i64::MAX,
    }
}

#[test]
fn the_largest_secret_fits_a_frame() {
    let fields = largest();
    let envelope = |request| Envelope {
        vault: Some(vec![b'/'; limits::PATH]),
        request,
    };
    let value = || Secret::new(vec![0xff; limits::VALUE]);
    let name = "x".repeat(limits::NAME);
    let change = Change {
        category: Some(fields.category.clone()),
        tags: Some(fields.tags.clone()),
        note: Some(fields.note.clone()),
        expires: Some(0),
    };
    for request in [
        Request::Add {
            name: name.clone(),
            value: value(),
            fields: fields.clone(),
        },
        Request::Update {
            name: name.clone(),
            value: Some(value()),
            change,
            if_rev: Some(1),
        },
    ] {
        let frame = frame::encode(1, 0, &envelope(request)).unwrap();
        let (_, body) = frame::read(&mut frame.as_slice()).unwrap();
        let back: Envelope = codec::decode(&body).unwrap();
        match back.request {
            Request::Add { value, .. } => assert_eq!(value.len(), limits::VALUE),
            Request::Update { value, .. } => assert_eq!(value.unwrap().len(), limits::VALUE),
            other => panic!("{other:?}"),
        }
    }
    let item = Item {
        name,
        rev: 1,
        created: 0,
        updated: 0,
        size: limits::VALUE as u64,
        fields,
    };
    let answer = Response::Item {
        item,
        value: Some(value()),
    };
    let frame = frame::encode(1, 0, &answer).unwrap();
    let (_, body) = frame::read(&mut frame.as_slice()).unwrap();
    assert!(codec::decode::<Response>(&body).is_ok());
}

/// A chunk of a list can be decoded, however small its elements are: memory of
/// the reader is what bounds it.
#[test]
fn a_chunk_of_the_shortest_names_and_items_is_read() {
    let names = Response::Names(vec!["x".to_owned(); limits::CHUNK / 9]);
    let item = Item {
        name: "x".to_owned(),
        rev: 1,
        created: 0,
        updated: 0,
        size: 0,
        fields: Fields::default(),
    };
    let items = Response::Items(vec![item; limits::CHUNK / 73]);
    for answer in [names, items] {
        let frame = frame::encode(1, MORE, &answer).unwrap();
        assert!(frame.len() > limits::CHUNK - 200 && frame.len() < limits::CHUNK + 200);
        let (_, body) = frame::read(&mut frame.as_slice()).unwrap();
        assert!(codec::decode::<Response>(&body).is_ok());
    }
}

#[test]
fn what_is_too_large_is_not_written() {
    let answer = Response::Value(Secret::new(vec![0; limits::FRAME]));
    assert_eq!(
        frame::encode(1, 0, &answer).err(),
        Some(CodecError::TooLarge)
    );
    let mut out = Vec::new();
    let error = frame::write(&mut out, 1, &answer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(out.is_empty());
    // The largest body that fits: 4 of variant and 8 of length before the bytes.
    let fits = limits::FRAME - limits::HEADER - 12;
    let answer = Response::Value(Secret::new(vec![0; fits]));
    let frame = frame::encode(1, 0, &answer).unwrap();
    assert_eq!(frame.len(), 4 + limits::FRAME);
    let (_, body) = frame::read(&mut frame.as_slice()).unwrap();
    assert!(matches!(codec::decode(&body), Ok(Response::Value(v)) if v.len() == fits));
    let answer = Response::Value(Secret::new(vec![0; fits + 1]));
    assert_eq!(
        frame::encode(1, 0, &answer).err(),
        Some(CodecError::TooLarge)
    );
}

#[test]
fn secrets_are_not_printed() {
    let request = Request::Passwd {
        old: Secret::new(b"canary-old".to_vec()),
        new: Secret::new(b"canary-new".to_vec()),
    };
    let answer = Response::Value(Secret::new(b"canary-value".to_vec()));
    let text = format!("{request:?} {answer:?} {:#?}", status());
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("Secret(…)"), "{text}");
}
